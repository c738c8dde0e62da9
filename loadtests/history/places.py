"""Where clicks come from: Brazil's states with their larger cities, and some countries. Shares are rough, by population."""

from __future__ import annotations

BRAZIL = 0.955
STATES: dict[str, tuple[float, tuple[str, ...]]] = {
    "SP": (22.0, ("Sao Paulo", "Guarulhos", "Campinas", "Sao Bernardo do Campo", "Osasco", "Ribeirao Preto", "Santos")),
    "MG": (10.1, ("Belo Horizonte", "Uberlandia", "Contagem", "Juiz de Fora", "Betim")),
    "RJ": (8.4, ("Rio de Janeiro", "Sao Goncalo", "Duque de Caxias", "Nova Iguacu", "Niteroi")),
    "BA": (7.0, ("Salvador", "Feira de Santana", "Vitoria da Conquista", "Camacari")),
    "PR": (5.6, ("Curitiba", "Londrina", "Maringa", "Ponta Grossa")),
    "RS": (5.4, ("Porto Alegre", "Caxias do Sul", "Canoas", "Pelotas")),
    "PE": (4.5, ("Recife", "Jaboatao dos Guararapes", "Olinda", "Caruaru")),
    "CE": (4.3, ("Fortaleza", "Caucaia", "Juazeiro do Norte")),
    "PA": (4.0, ("Belem", "Ananindeua", "Santarem")),
    "SC": (3.7, ("Joinville", "Florianopolis", "Blumenau")),
    "GO": (3.5, ("Goiania", "Aparecida de Goiania", "Anapolis")),
    "MA": (3.3, ("Sao Luis", "Imperatriz")),
    "PB": (2.0, ("Joao Pessoa", "Campina Grande")),
    "AM": (1.9, ("Manaus",)),
    "ES": (1.9, ("Vila Velha", "Serra", "Vitoria")),
    "MT": (1.8, ("Cuiaba", "Varzea Grande")),
    "RN": (1.6, ("Natal", "Mossoro")),
    "PI": (1.6, ("Teresina",)),
    "AL": (1.5, ("Maceio", "Arapiraca")),
    "DF": (1.4, ("Brasilia",)),
    "MS": (1.4, ("Campo Grande", "Dourados")),
    "SE": (1.1, ("Aracaju",)),
    "RO": (0.8, ("Porto Velho",)),
    "TO": (0.7, ("Palmas",)),
    "AC": (0.4, ("Rio Branco",)),
    "AP": (0.4, ("Macapa",)),
    "RR": (0.3, ("Boa Vista",)),
}  # fmt: skip
ABROAD: dict[str, tuple[float, str, str]] = {
    "PT": (30, "Lisboa", "Lisbon"),
    "US": (28, "Florida", "Miami"),
    "AR": (9, "Buenos Aires F.D.", "Buenos Aires"),
    "PY": (8, "Alto Parana", "Ciudad del Este"),
    "JP": (6, "Aichi", "Nagoya"),
    "ES": (6, "Madrid", "Madrid"),
    "GB": (5, "England", "London"),
    "AO": (4, "Luanda", "Luanda"),
    "IE": (4, "Leinster", "Dublin"),
}
CARRIERS = ((26599, 30), (22085, 27), (26615, 22), (28573, 12), (27699, 9))
"""Networks of Brazil by their number (Vivo, Claro, TIM, Claro NXT, Vivo Fibra) and share."""
HOSTERS = (16509, 14061, 16276, 396982)
META = 32934
SOURCE = "DBIP-City-Lite 2026-11"
