"""Digests of a person as Meta compares them: its own vectors, Brazil's forms, and whatever else people type."""

from __future__ import annotations

import hashlib
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from delivery.meta.normalise import KEYS, digests, hashed_city, hashed_country, hashed_state
from delivery.meta.places import city_names

DIGEST = re.compile(r"[0-9a-f]{64}")
NOTHING = hashlib.sha256(b"").hexdigest()


def sha(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def person(*, telegram_id: int | None = 123456789, **given: str) -> dict[str, tuple[str, ...]]:
    return digests(given, phone_country="55", telegram_id=telegram_id).person


@pytest.mark.parametrize(
    ("field", "value", "digest"),
    [
        ("email", "John_Smith@gmail.com", "62a14e44f765419d10fea99367361a727c12365e2520f32218d505ed9aa0f62f"),
        ("phone", "16505551212", "e323ec626319ca94ee8bff2e4c87cf613be6ea19919ed1364124e16807ab3176"),
        ("first_name", "Mary", "6915771be1c5aa0c886870b6951b03d7eafc121fea0e80a5ea83beb7c449f4ec"),
        ("first_name", "valéry", "08e1996b5dd49e62a4b4c010d44e4345592a863bb9f8e3976219bac29417149c"),
        ("birth_date", "19970216", "01acdbf6ec7b4f478a225f1a246e5d6767eeab1a7ffa17f025265b5b94f40f0c"),
        ("country", "us", "79adb2a2fce5c6ba215fe5f27f532d4e7edbac4b6a5e09e1ef3a08084a904621"),
    ],
)
def test_metas_own_vectors_hold(field: str, value: str, digest: str) -> None:
    assert person(**{field: value}) == {KEYS[field]: (digest,)}


@pytest.mark.parametrize(
    ("field", "value", "normal"),
    [
        ("email", "  Ana.Souza+loja@Exemplo.COM.br ", "ana.souza+loja@exemplo.com.br"),
        ("email", "josé@açaí.com.br", "josé@açaí.com.br"),
        ("phone", "(11) 91234-5678", "5511912345678"),
        ("phone", "011 91234-5678", "5511912345678"),
        ("phone", "11 3123.4567", "551131234567"),
        ("phone", "+55 (0)11 91234-5678", "5511912345678"),
        ("phone", "0055 11 91234 5678", "5511912345678"),
        ("phone", "55 11 91234–5678", "5511912345678"),
        ("phone", "(55) 99123-4567", "5555991234567"),
        ("phone", "\u202a+55\u00a011\u00a091234-5678\u202c", "5511912345678"),
        ("phone", "１１９１２３４５６７８", "5511912345678"),
        ("phone", "+351 912 345 678", "351912345678"),
        ("phone", "tel:+1-650-555-1212", "16505551212"),
        ("first_name", "  Maria Clara ", "mariaclara"),
        ("last_name", "D'Ávila-Souza Jr.", "dávilasouzajr"),
        ("first_name", "Joa\u0303o", "joão"),
        ("first_name", "𝓜𝓪𝓻𝓲𝓪 🌸", "maria"),
        ("first_name", "सीता", "सीता"),
        ("gender", "Feminino", "f"),
        ("gender", " M ", "m"),
        ("birth_date", "1997-02-16", "19970216"),
        ("birth_date", "16/02/1997", "19970216"),
        ("birth_date", "1.2.1997", "19970201"),
        ("city", "New York", "newyork"),
        ("state", "São Paulo", "sp"),
        ("state", "rs", "rs"),
        ("state", "Estado do Rio de Janeiro", "rj"),
        ("zip", "01310-100", "01310100"),
        ("zip", "01.310-100", "01310100"),
        ("zip", "94035-1234", "94035"),
        ("zip", "SW1A 1AA", "sw1a1aa"),
        ("country", "Brazil", "br"),
        ("country", "Brasil", "br"),
        ("country", "BRA", "br"),
        ("country", "Estados Unidos", "us"),
        ("country", "Japão", "jp"),
    ],
)
def test_what_people_type_becomes_what_meta_compares(field: str, value: str, normal: str) -> None:
    assert person(**{field: value}) == {KEYS[field]: (sha(normal),)}


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("email", "123456789@telegram.local"),
        ("email", "ana@example.com"),
        ("email", "ana@loja.example.com"),
        ("email", "ana@host.invalid"),
        ("email", "ana@shop.test"),
        ("email", "ana@bot.internal"),
        ("email", "ana@localhost"),
        ("email", "ana@com"),
        ("email", "123456789@gmail.com"),
        ("email", "telegram_123456789@gmail.com"),
        ("email", "user_123456789@gmail.com"),
        ("email", "tg123456789@gmail.com"),
        ("email", "id.123456789@gmail.com"),
        ("email", "noreply@loja.com.br"),
        ("email", "no-reply@loja.com.br"),
        ("email", "naoresponda@loja.com.br"),
        ("email", "ana@t.me"),
        ("email", "ana@@gmail.com"),
        ("email", "ana souza@gmail.com"),
        ("email", "a" * 250 + "@gmail.com"),
        ("phone", "912345678"),
        ("phone", "0800 123 4567"),
        ("phone", "11 91234-5678 / 11 3123-4567"),
        ("phone", "11 91234-5678 ramal 12"),
        ("phone", "+55 11 1234"),
        ("phone", "015 11 91234-5678"),
        ("phone", "00000000000"),
        ("phone", "9" * 40),
        ("first_name", "..."),
        ("first_name", "🌸"),
        ("first_name", "123"),
        ("first_name", "d41d8cd98f00b204e9800998ecf8427e"),
        ("first_name", "ana@loja.com.br"),
        ("last_name", "undefined"),
        ("city", "d41d8cd98f00b204e9800998ecf8427e"),
        ("state", "N/A"),
        ("gender", "não digo"),
        ("birth_date", "30/02/1997"),
        ("birth_date", "02/16/1997"),
        ("birth_date", "16/02/97"),
        ("birth_date", "18500101"),
        ("city", "123"),
        ("city", "--"),
        ("state", "12"),
        ("zip", "00000-000"),
        ("zip", "centro"),
        ("country", "Terra do Nunca"),
        ("country", "zz"),
        ("country", "B"),
        ("email", NOTHING),
        ("email", ""),
        ("first_name", "   "),
    ],
)
def test_what_cannot_be_matched_is_left_out_and_only_its_field_is_named(field: str, value: str) -> None:
    found = digests({field: value}, phone_country="55", telegram_id=123456789)
    assert (found.person, found.ignored) == ({}, (field,))


def test_an_address_is_made_up_only_with_the_id_of_that_very_person() -> None:
    assert person(email="tg987654321@gmail.com") == {"em": (sha("tg987654321@gmail.com"),)}
    assert person(email="tg123456789@gmail.com", telegram_id=None) == {"em": (sha("tg123456789@gmail.com"),)}


@pytest.mark.parametrize("field", KEYS)
def test_a_digest_passes_through_as_it_is_in_lower_case(field: str) -> None:
    assert person(**{field: sha("x")}) == {KEYS[field]: (sha("x"),)}
    assert person(**{field: sha("x").upper()}) == {KEYS[field]: (sha("x"),)}


def test_a_country_says_what_a_zip_and_a_state_may_be() -> None:
    assert person(country="us", zip="94035-1234", state="California")["st"] == (sha("ca"),)
    assert person(country="US", zip="940351234")["zp"] == (sha("94035"),)
    assert person(country="br", state="Córdoba").keys() == {"country"}
    assert person(country="ar", state="Córdoba")["st"] == (sha("cordoba"),)
    assert person(country="br", zip="01310").keys() == {"country"}
    assert person(country="pt", zip="1000-001")["zp"] == (sha("1000001"),)


def test_a_number_gets_the_country_that_the_operator_set() -> None:
    found = digests({"phone": "912 345 678"}, phone_country="351", telegram_id=None)
    assert found.person == {"ph": (sha("351912345678"),)}


@pytest.mark.parametrize(
    ("city", "names"),
    [
        ("São Paulo", ("sãopaulo", "saopaulo")),
        ("São Paulo - SP", ("sãopaulo", "saopaulo")),
        ("Recife/PE", ("recife",)),
        ("Natal (RN)", ("natal",)),
        ("Mogi-Guaçu", ("mogiguaçu", "mogiguacu")),
        ("Москва", ("москва",)),
        ("123", ()),
    ],
)
def test_a_city_has_its_accents_and_has_them_not(city: str, names: tuple[str, ...]) -> None:
    assert city_names(city) == names
    assert hashed_city(city) == tuple(map(sha, names))


def test_what_a_database_says_of_a_place_is_hashed_as_what_a_person_says() -> None:
    assert hashed_state("SP", "BR") == (sha("sp"),)
    assert hashed_state("California", "US") == (sha("ca"),)
    assert hashed_state("", "BR") == hashed_country("") == hashed_city("") == ()
    assert hashed_country("BR") == (sha("br"),)


anything = st.text() | st.sampled_from(["SP", "br", "11912345678", "a@b.co", "\ud800", "0" * 300])


@given(st.dictionaries(st.sampled_from([*KEYS, "other"]), anything), st.sampled_from(["55", "1", "351", ""]))
def test_any_text_gives_digests_or_is_named_and_never_raises(given: dict[str, str], country: str) -> None:
    found = digests(given, phone_country=country, telegram_id=1)
    values = [value for values in found.person.values() for value in values]
    assert all(DIGEST.fullmatch(value) and value != NOTHING for value in values)
    named = {KEYS[name] for name in found.ignored}
    assert named | found.person.keys() == {KEYS[name] for name in given if name in KEYS}
    assert not named & found.person.keys()


@given(st.dictionaries(st.sampled_from(list(KEYS)), st.none() | st.integers() | st.binary()))
def test_what_is_no_text_is_named_too(given: dict[str, object]) -> None:
    found = digests(given, phone_country="55", telegram_id=None)  # type: ignore[arg-type]
    assert (found.person, set(found.ignored)) == ({}, set(given))
