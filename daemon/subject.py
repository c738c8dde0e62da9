"""What every store has of one person, as the person may read it: LGPD art. 18, II (access) and V (portability)."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, tzinfo
from typing import Any
from uuid import UUID

import msgspec

from backends.redis import RedisStore
from backends.spools import LocalSpools
from backends.sql.subject import OwnedClick, SqlSubjects, Subject
from backends.sql.tombstones import PersonKey
from daemon.subject_conversions import conversions_json
from domain.attribution import Start
from domain.click import Click
from domain.clock import Clock
from domain.conversions import Conversion
from domain.enrichment import Enrichment
from domain.errors import StoreUnavailable
from domain.ids import uuid7_ms
from domain.outcomes import Found, Unknown
from domain.people import BotUser, ClickTouch, Held
from domain.profile import Profile, Touch, profile_of
from privacy.seal import Sealer

REDIS_SECONDS = 2.0
LABELS = {
    "subject": "titular dos dados",
    "exported_at": "data e hora da exportação",
    "incomplete": "fontes que não puderam ser consultadas agora",
    "erased_at": "data e hora da última eliminação",
    "clicks": "cliques em anúncios",
    "starts": "vezes em que o bot foi iniciado",
    "conversions": "eventos de conversão",
    "bot_users": "como cada bot conhece a pessoa",
    "first_started_at": "data e hora do primeiro início",
    "last_started_at": "data e hora do último início",
    "first_touch": "primeiro clique que trouxe a pessoa",
    "last_touch": "último clique que trouxe a pessoa",
    "blocked": "a pessoa bloqueou o bot",
    "blocked_at": "data e hora em que bloqueou ou desbloqueou",
    "reply": "o que houve com a resposta do bot",
    "replied_at": "data e hora da resposta",
    "profile": "perfil calculado",
    "click": "clique, por seu identificador",
    "clicked_at": "data e hora do clique",
    "started_at": "data e hora do início da conversa",
    "link": "link do anúncio",
    "bot": "bot do Telegram",
    "params": "parâmetros do anúncio",
    "referer_host": "site de origem",
    "language": "idioma do navegador",
    "method": "método da requisição",
    "prefetch": "pré-carregamento",
    "gpc": "o navegador pediu que os dados não fossem compartilhados (Sec-GPC)",
    "original": "dados originais cifrados, enquanto a chave existe",
    "ip": "endereço IP",
    "user_agent": "navegador e aparelho (user agent)",
    "fbclid": "identificador de clique da Meta (fbclid)",
    "fbc": "identificador de clique da Meta (fbc)",
    "fbp": "identificador de navegador da Meta (fbp)",
    "referer": "página de origem",
    "sealed": "os dados originais existem, cifrados",
    "visitor_key": "pseudônimo do visitante",
    "fbclid_key": "pseudônimo do fbclid",
    "enrichment": "dados deduzidos do clique",
    "geo": "localização aproximada",
    "agent": "aparelho e navegador",
    "traffic": "classe de tráfego",
    "scores": "pontuações",
    "copies": "onde há cópias",
    "location": "localização",
    "device": "aparelho",
    "behaviour": "comportamento",
    "quality": "qualidade",
    "click_to_start_seconds": "segundos entre o clique e o início",
    "hour": "hora do dia",
    "weekday": "dia da semana (1 = segunda-feira)",
    "bot_score": "pontuação de robô",
    "fraud_score": "pontuação de fraude",
    "state": "situação",
    "kind": "tipo",
    "pixel": "conjunto de dados da Meta (pixel)",
    "event": "evento",
    "event_at": "data e hora do evento",
    "reason": "motivo",
    "webhook": "outro destino (webhook)",
    "sent_at": "data e hora do envio",
    "matched": "dados da pessoa que foram enviados, pelos nomes do destino",
    "order_id": "identificador do pedido",
    "value": "valor",
    "currency": "moeda",
    "custom": "itens e outros dados do pedido",
    "contents": "itens",
    "quantity": "quantidade",
    "item_price": "preço de um item",
    "content_name": "nome do produto",
    "content_category": "categoria do produto",
    "content_type": "tipo do produto",
    "num_items": "número de itens",
    "person": "resumos (SHA-256) de e-mail, telefone, nomes, endereço e nascimento, pelos nomes curtos da Meta",
}


@dataclass(slots=True)
class _Copies:
    """What the stores beside SQL have: clicks by id, starts and conversions that wait, and which store could not be asked."""

    redis: dict[UUID, Click] = field(default_factory=dict)
    spool: dict[UUID, Click] = field(default_factory=dict)
    starts: list[Start] = field(default_factory=list)
    conversions: list[Conversion] = field(default_factory=list)
    incomplete: list[str] = field(default_factory=list)

    def click(self, click_id: UUID) -> Click | None:
        return self.redis.get(click_id) or self.spool.get(click_id)


class Subjects:
    """Gathers what there is of a person. A store that is down is named in `incomplete`; nothing is raised for it."""

    def __init__(
        self,
        *,
        subjects: SqlSubjects,
        redis: RedisStore | None,
        spools: LocalSpools,
        sealer: Sealer,
        person_key: PersonKey,
        clock: Clock,
        zone: tzinfo,
    ) -> None:
        self._subjects = subjects
        self._redis = redis
        self._spools = spools
        self._sealer = sealer
        self._person_key = person_key
        self._clock = clock
        self._zone = zone

    async def export(self, telegram_id: int) -> dict[str, Any]:
        """Everything, with the originals while their keys live: they are the person's own data."""
        copies = _Copies()
        try:
            subject = await self._subjects.of(telegram_id, person_key=self._person_key(telegram_id))
        except StoreUnavailable:
            copies.incomplete.append("sql")
            subject = Subject(links={}, bots={})
        await self._look_beside(telegram_id, subject, copies)
        return {
            "subject": {"telegram_id": telegram_id},
            "exported_at": self._iso(self._clock.now_ms()),
            "incomplete": copies.incomplete,
            "erased_at": self._iso(subject.erased_at_ms),
            "clicks": [self._click(owned, subject, copies) for owned in subject.clicks],
            "starts": self._starts(subject, copies.starts),
            "conversions": conversions_json(subject, copies.conversions, self._iso),
            "bot_users": self._bot_users(subject),
            "profile": profile_json(profile_of(_touches(subject), zone=self._zone), self._zone),
            "labels": LABELS,
        }

    async def held(self, telegram_id: int) -> Held:
        """How much there is of a person: counts, and no original is opened. Raises StoreUnavailable without SQL."""
        subject = await self._subjects.of(telegram_id, person_key=self._person_key(telegram_id))
        waiting, all_read = await self._spools.of_person(telegram_id)
        return Held(
            clicks=sum(owned.erased_at_ms is None for owned in subject.clicks),
            starts=len(subject.starts),
            conversions=len(subject.conversions),
            bot_users=len(subject.bot_users),
            waiting=len(waiting),
            incomplete=() if all_read else ("spool",),
        )

    async def profile(self, telegram_id: int, bot_id: int | None) -> dict[str, Any]:
        """The object of `trilha profile --json`, from what SQL has. Raises StoreUnavailable."""
        key = self._person_key(telegram_id)
        subject = await self._subjects.of(telegram_id, person_key=key, bot_id=bot_id)
        found = profile_json(profile_of(_touches(subject), zone=self._zone), self._zone)
        return found | {"bot_users": self._bot_users(subject)}

    async def _look_beside(self, telegram_id: int, subject: Subject, copies: _Copies) -> None:
        ids = [owned.id for owned in subject.clicks if owned.erased_at_ms is None]
        waiting, waiting_read = await self._spools.of_person(telegram_id)
        copies.starts = [record for record in waiting if isinstance(record, Start)]
        copies.conversions = [record for record in waiting if isinstance(record, Conversion)]
        copies.spool, clicks_read = await self._spools.find(ids)
        if not (waiting_read and clicks_read):
            copies.incomplete.append("spool")
        if self._redis is not None and not await _find_in(self._redis, ids, copies.redis):
            copies.incomplete.append("redis")

    def _click(self, owned: OwnedClick, subject: Subject, copies: _Copies) -> dict[str, Any]:
        row = owned.row
        click = row.click or copies.click(owned.id)
        return {
            "id": str(owned.id),
            "link": subject.links.get(row.link_id),
            "clicked_at": self._iso(uuid7_ms(owned.id)),
            "bot": subject.bots.get(row.owner.bot_id) if row.owner else None,
            "started_at": self._iso(row.started_at_ms),
            "erased_at": self._iso(owned.erased_at_ms),
            **(self._data(click) if click is not None else {}),
            "enrichment": _enrichment_json(row.enrichment),
            "copies": {
                "sql": row.click is not None,
                "redis": owned.id in copies.redis,
                "spool": owned.id in copies.spool,
            },
        }

    def _data(self, click: Click) -> dict[str, Any]:
        original = None if click.sealed is None else self._sealer.open(click.sealed, click.id)
        return {
            "params": dict(click.params),
            "referer_host": click.referer_host,
            "language": click.language,
            "method": click.method,
            "prefetch": click.prefetch,
            "gpc": click.gpc,
            "visitor_key": click.visitor_key.hex() if click.visitor_key else None,
            "fbclid_key": click.fbclid_key.hex() if click.fbclid_key else None,
            "sealed": click.sealed is not None,
            "original": None if original is None else msgspec.structs.asdict(original),
        }

    def _starts(self, subject: Subject, waiting: Sequence[Start]) -> list[dict[str, Any]]:
        noted = [
            {
                "bot": subject.bots.get(start.bot_id),
                "started_at": self._iso(start.at_ms),
                "kind": start.kind,
                "click": str(start.click_id) if start.click_id else None,
                "state": "settled",
                "reply": start.reply,
                "replied_at": self._iso(start.replied_at_ms),
            }
            for start in subject.starts
        ]
        known = {start.id for start in subject.starts}
        return noted + [
            {
                "bot": subject.bots.get(start.owner.bot_id),
                "started_at": self._iso(start.at_ms),
                "kind": None,
                "click": str(start.click.id) if start.click else None,
                "state": "deferred",
                "reply": None,
                "replied_at": None,
            }
            for start in waiting
            if start.id not in known
        ]

    def _bot_users(self, subject: Subject) -> list[dict[str, Any]]:
        return [_bot_user_json(known, subject.bots, self._zone) for known in subject.bot_users]

    def _iso(self, at_ms: int | None) -> str | None:
        return local_iso(at_ms, self._zone)


def local_iso(at_ms: int | None, zone: tzinfo) -> str | None:
    """ISO 8601 with the offset of the operator's zone, or None."""
    return None if at_ms is None else datetime.fromtimestamp(at_ms / 1000, zone).isoformat(timespec="seconds")


def profile_json(profile: Profile, zone: tzinfo) -> dict[str, Any]:
    """A profile, as exports and `trilha profile --json` show it."""
    return {
        "clicks": profile.clicks,
        "first_touch": _touch_json(profile.first, zone),
        "last_touch": _touch_json(profile.last, zone),
        "location": {
            "city": profile.location.city,
            "state": profile.location.state,
            "country": profile.location.country,
        },
        "device": {
            "type": profile.device.type,
            "os": profile.device.os,
            "browser": profile.device.browser,
            "is_mobile": profile.device.is_mobile,
        },
        "behaviour": {
            "click_to_start_seconds": profile.behaviour.click_to_start_seconds,
            "hour": profile.behaviour.hour,
            "weekday": profile.behaviour.weekday,
        },
        "quality": {"bot_score": profile.quality.bot_score, "fraud_score": profile.quality.fraud_score},
    }


def _touch_json(touch: Touch | None, zone: tzinfo) -> dict[str, Any] | None:
    if touch is None:
        return None
    return {
        "clicked_at": local_iso(touch.clicked_at_ms, zone),
        "started_at": local_iso(touch.started_at_ms, zone),
    }


def _bot_user_json(known: BotUser, bots: dict[int, str], zone: tzinfo) -> dict[str, Any]:
    return {
        "bot": bots.get(known.owner.bot_id),
        "first_started_at": local_iso(known.first_started_at_ms, zone),
        "last_started_at": local_iso(known.last_started_at_ms, zone),
        "first_touch": _click_touch_json(known.first_touch, zone),
        "last_touch": _click_touch_json(known.last_touch, zone),
        "blocked": known.blocked,
        "blocked_at": local_iso(known.blocked_at_ms, zone),
    }


def _click_touch_json(touch: ClickTouch | None, zone: tzinfo) -> dict[str, Any] | None:
    """By the click's id: what else is known of the click stands with the clicks, once."""
    if touch is None:
        return None
    return {
        "click": str(touch.tracking_session_id),
        "clicked_at": local_iso(touch.click_timestamp_ms, zone),
        "started_at": local_iso(touch.started_at_ms, zone),
    }


def _touches(subject: Subject) -> list[Touch]:
    return [
        Touch(
            link_id=owned.row.link_id,
            clicked_at_ms=uuid7_ms(owned.id),
            started_at_ms=owned.row.started_at_ms,
            enrichment=owned.row.enrichment,
        )
        for owned in subject.clicks
        if owned.erased_at_ms is None
    ]


def _enrichment_json(added: Enrichment | None) -> dict[str, Any] | None:
    if added is None:
        return None
    return {
        "geo": added.geo._asdict(),
        "agent": added.agent._asdict(),
        "traffic": added.traffic._asdict(),
        "scores": {"bot_score": added.scores.bot.points, "fraud_score": added.scores.fraud.points},
        "repeats": added.repeats,
    }


async def _find_in(redis: RedisStore, ids: Sequence[UUID], found: dict[UUID, Click]) -> bool:
    try:
        async with asyncio.timeout(REDIS_SECONDS):
            await redis.probe()
            for click_id in ids:
                lookup = await redis.find(click_id)
                if isinstance(lookup, Unknown):
                    return False
                if isinstance(lookup, Found):
                    found[click_id] = lookup.click
    except (StoreUnavailable, TimeoutError):
        return False
    return True
