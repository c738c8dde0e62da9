"""What Meta demands of `custom_data`: money that is a number of a currency, and fields of their types."""

from __future__ import annotations

from typing import Any

from tests.meta.refusals import CURRENCY, NO_CURRENCY, NO_VALUE, bad_event, bad_parameter

# ISO 4217, those in use.
_CODES = (
    "AED AFN ALL AMD ANG AOA ARS AUD AWG AZN BAM BBD BDT BGN BHD BIF BMD BND BOB BRL BSD BTN BWP BYN BZD CAD CDF "
    "CHF CLP CNY COP CRC CUP CVE CZK DJF DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS GIP GMD GNF GTQ GYD HKD "
    "HNL HTG HUF IDR ILS INR IQD IRR ISK JMD JOD JPY KES KGS KHR KMF KPW KRW KWD KYD KZT LAK LBP LKR LRD LSL LYD "
    "MAD MDL MGA MKD MMK MNT MOP MRU MUR MVR MWK MXN MYR MZN NAD NGN NIO NOK NPR NZD OMR PAB PEN PGK PHP PKR PLN "
    "PYG QAR RON RSD RUB RWF SAR SBD SCR SDG SEK SGD SHP SLE SOS SRD SSP STN SVC SYP SZL THB TJS TMT TND TOP TRY "
    "TTD TWD TZS UAH UGX USD UYU UZS VES VND VUV WST XAF XCD XOF XPF YER ZAR ZMW"
)
CURRENCIES = frozenset(_CODES.split())
_TEXTS = ("content_name", "content_category", "content_type", "order_id", "search_string", "status")
_NUMBERS = ("value", "predicted_ltv")
_KINDS = frozenset({"product", "product_group"})


def check_custom_data(event: dict[str, Any], path: str) -> None:
    """Any other name is the sender's own and free. Raises Refused."""
    given = event.get("custom_data", {})
    if not isinstance(given, dict):
        raise bad_parameter(path, "must be an object")
    if event["event_name"] == "Purchase":
        _check_purchase(given)
    if given:
        _check_types(given, path)


def _check_purchase(given: dict[str, Any]) -> None:
    if "value" not in given:
        raise bad_event(NO_VALUE, "A Purchase needs a value.")
    if "currency" not in given:
        raise bad_event(NO_CURRENCY, "A Purchase needs a currency.")


def _check_types(given: dict[str, Any], path: str) -> None:
    currency = given.get("currency", "BRL")
    if not isinstance(currency, str) or currency.upper() not in CURRENCIES:
        raise bad_event(CURRENCY, "currency must be a code of ISO 4217.")
    for name in _NUMBERS:
        if type(given.get(name, 0)) not in {int, float} or given.get(name, 0) < 0:
            raise bad_parameter(f"{path}['{name}']", "must be a number, not less than 0")
    for name in _TEXTS:
        if not isinstance(given.get(name, ""), str):
            raise bad_parameter(f"{path}['{name}']", "must be text")
    if given.get("content_type", "product") not in _KINDS:
        raise bad_parameter(f"{path}['content_type']", "must be product or product_group")
    if type(given.get("num_items", 0)) is not int:
        raise bad_parameter(f"{path}['num_items']", "must be an integer")
    _check_lists(given, path)


def _check_lists(given: dict[str, Any], path: str) -> None:
    ids = given.get("content_ids", [])
    if not isinstance(ids, list) or not all(type(each) in {str, int} for each in ids):
        raise bad_parameter(f"{path}['content_ids']", "must be a list of ids")
    contents = given.get("contents", [])
    if not isinstance(contents, list) or not all(
        isinstance(each, dict) and "id" in each for each in contents
    ):
        raise bad_parameter(f"{path}['contents']", "must be a list of objects with id")
