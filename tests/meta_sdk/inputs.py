"""Values as people in Brazil type them, as checkouts and bots make them up, and as nobody should. Made up, seeded."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from random import Random

SEED = 20_260_716
FIRST = [
    "Ana",
    "João",
    "Maria Clara",
    "José",
    "Antônia",
    "D'Angelo",
    "Luís Otávio",
    "Zé",
    "Íris",
    "Joa\u0303o",
]
LAST = ["Souza", "da Silva", "D'Ávila", "Conceição", "Lima-Barreto", "Araújo Jr.", "Gonçalves", "Sá"]
CITIES = [
    *(
        "São Paulo",
        "Recife",
        "Embu-Guaçu",
        "Mogi das Cruzes",
        "Santa Bárbara d'Oeste",
        "Belo Horizonte",
        "Natal",
    ),
    *("São Paulo - SP", "Recife/PE", "Natal (RN)", "New York", "Parnamirim", "123", "--", "Pau dos Ferros 2"),
]
STATES = [
    "SP",
    "sp",
    "São Paulo",
    "Rio Grande do Sul",
    "RJ",
    "Estado do Rio de Janeiro",
    "Pará",
    "California",
    "12",
]
COUNTRIES = [
    "BR",
    "br",
    "Brazil",
    "Brasil",
    "BRA",
    "US",
    "Estados Unidos",
    "Portugal",
    "pt",
    "Terra do Nunca",
    "zz",
]
GENDERS = ["f", "M", "Feminino", "masculino", "Male", "outro"]
AREAS = ["11", "21", "31", "55", "81", "92"]
DOMAINS = ["gmail.com", "Hotmail.com", "loja.com.br", "uol.com.br", "açaí.com.br"]
NOBODY = ["telegram.local", "example.com", "bot.internal", "host.invalid"]
HOSTILE = [
    *(
        "",
        "   ",
        "\t",
        "...",
        "🌸",
        "null",
        "undefined",
        "N/A",
        "-",
        "0",
        "a@b",
        "@",
        "a@@b.com",
        "ana souza@gmail.com",
    ),
    *("d41d8cd98f00b204e9800998ecf8427e", hashlib.sha256(b"").hexdigest(), hashlib.sha256(b"x").hexdigest()),
    *(
        hashlib.sha256(b"x").hexdigest().upper(),
        "x" * 300,
        "𝓜𝓪𝓻𝓲𝓪",
        "Ａｎａ",
        "'; DROP TABLE",
        "\u200bAna\u200b",
        "00000-000",
    ),
]
Make = Callable[[Random], str]


def _digits(random: Random, count: int) -> str:
    return "".join(random.choices("0123456789", k=count))


def _email(random: Random) -> str:
    name = f"{random.choice(FIRST)}.{random.choice(LAST)}".replace(" ", "")
    plain = "".join(char for char in name if char.isascii() and (char.isalnum() or char in ".'"))
    return random.choice(
        [
            f"{plain}@{random.choice(DOMAINS)}",
            f"  {plain.upper()}+loja@{random.choice(DOMAINS)} ",
            f"{_digits(random, 9)}@{random.choice(NOBODY)}",
            "telegram_123456789@gmail.com",
            "noreply@loja.com.br",
            f"{plain}@loja..com",
        ]
    )


def _phone(random: Random) -> str:
    area, mobile = random.choice(AREAS), f"9{_digits(random, 4)}-{_digits(random, 4)}"
    return random.choice(
        [
            f"({area}) {mobile}",
            f"0{area} {mobile}",
            f"+55 {area} {mobile}",
            f"+55 (0){area} {mobile}",
            f"0055{area}{mobile}",
            f"55{area}{mobile}",
            f"{area}.{mobile.replace('-', '.')}",
            f"{area} 3{_digits(random, 7)}",
            mobile,
            f"{area} {mobile} ramal {_digits(random, 2)}",
            f"0800 {_digits(random, 7)}",
            f"+351 9{_digits(random, 8)}",
            f"+1 650 555 {_digits(random, 4)}",
            f"１{area[1]} {mobile}",
            "00000000000",
        ]
    )


def _zip(random: Random) -> str:
    cep = f"{_digits(random, 5)}-{_digits(random, 3)}"
    forms = [
        cep,
        cep.replace("-", ""),
        f" {cep} ",
        f"{cep[:2]}.{cep[2:]}",
        cep[:5],
        "94035-1234",
        "SW1A 1AA",
        "centro",
    ]
    return random.choice(forms)


def _date(random: Random) -> str:
    year, month, day = random.randint(1940, 2008), random.randint(1, 12), random.randint(1, 28)
    return random.choice(
        [
            f"{year}{month:02}{day:02}",
            f"{year}-{month:02}-{day:02}",
            f"{day:02}/{month:02}/{year}",
            f"{day}.{month}.{year}",
            f"{day:02}/{month:02}/{year % 100:02}",
            f"30/02/{year}",
        ]
    )


def _one_of(*values: list[str]) -> Make:
    return lambda random: random.choice(random.choice(values))


MAKERS: dict[str, Make] = {
    "email": _email,
    "phone": _phone,
    "first_name": _one_of(FIRST, FIRST, ["Maria 🌸", "123", "João 2"]),
    "last_name": _one_of(LAST),
    "gender": _one_of(GENDERS),
    "birth_date": _date,
    "city": _one_of(CITIES),
    "state": _one_of(STATES),
    "zip": _zip,
    "country": _one_of(COUNTRIES),
}


def values(count: int) -> list[tuple[str, str]]:
    """Fields of our API and values; one in eight is hostile whatever the field."""
    random = Random(SEED)
    fields = list(MAKERS)
    made = []
    for number in range(count):
        field = fields[number % len(fields)]
        maker = MAKERS[field] if random.randrange(8) else _one_of(HOSTILE)
        made.append((field, maker(random)))
    return made
