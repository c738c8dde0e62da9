"""What Chaos Toolkit calls: the control that sets the stage, actions that break and mend, probes that measure."""
