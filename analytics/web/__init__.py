"""The dashboard: pages made on the server, in a process of their own."""
