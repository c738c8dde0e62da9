"""The retention table: how long each field lives in each store, what ends it, why it is kept.

The one place that says so. `trilha work` enforces it, docs/privacy.md is rendered from it, the record of processing
lists it, and a test checks that nothing outlives it. A column, key or field that is in no row fails the build.
"""

from collections.abc import Iterator
from datetime import timedelta

from privacy.access_log import KEEP_DAYS
from privacy.retention_row import Basis, Life, Row, Store, Text

ASIDE_DAYS = 28
ALERT_DAYS = 90


def fields_in(store: Store) -> Iterator[str]:
    """Every field of a store, once for each row that names it."""
    return (field for row in TABLE if row.store == store for field in row.fields)


def _of(table: str, names: str) -> tuple[str, ...]:
    return tuple(f"{table}.{name}" for name in names.split())


_SEALED = Life.of_setting("sealed_days")
_CLICK = Life.of_setting("click_days")
_PROCESS = Life.ended_by("while the process runs", "enquanto o processo roda")
_REQUEST = Life.ended_by("while the request is answered", "enquanto a requisição é respondida")
_SETTLED = Life.ended_by(
    "until settled into SQL, seconds when all runs", "até a gravação em SQL, segundos em operação normal"
)
_ROTATED = Life.ended_by("until rotated", "até a rotação")
_OPERATOR = Life.ended_by("until the operator deletes it", "até a exclusão pelo operador")
_ALWAYS = Life.ended_by("no end", "sem fim")
_INTEREST: Basis = "consent or legitimate interest"

TABLE: tuple[Row, ...] = (
    # ------------------------------------------------------------ memory
    Row(
        group=Text("Visit as it came", "Visita como chegou"),
        store="memory",
        fields=_of(
            "Visit",
            "method at_ms ip user_agent fbclid fbc_cookie fbp_cookie referer language prefetch params ad gpc",
        ),
        kind="raw",
        life=_REQUEST,
        ends=("process end",),
        purpose="attribution",
        basis=_INTEREST,
    ),
    Row(
        group=Text("Original, opened to report it", "Original, aberto para envio"),
        store="memory",
        fields=_of("Original", "ip user_agent fbclid fbc fbp referer"),
        kind="raw",
        life=_REQUEST,
        ends=("process end",),
        purpose="reporting",
        basis=_INTEREST,
    ),
    Row(
        group=Text("Message to a bot as it came", "Mensagem a um bot como chegou"),
        store="memory",
        fields=(
            *_of("Person", "telegram_id first_name language access_hash"),
            *_of("Incoming", "bot person message_id text sent_ms"),
        ),
        kind="personal",
        life=Life.ended_by("until the start is answered", "até a resposta ao início"),
        ends=("process end",),
        purpose="attribution",
        basis=_INTEREST,
    ),
    Row(
        group=Text("Report of a conversion as it came", "Aviso de conversão como chegou"),
        store="memory",
        fields=_of(
            "ReportRequest",
            "bot event token telegram_id click_id order_id value currency at content person",
        ),
        kind="raw",
        life=_REQUEST,
        ends=("process end",),
        purpose="reporting",
        basis=_INTEREST,
    ),
    Row(
        group=Text("Clicks that no store takes (the ring)", "Cliques que nenhum armazenamento aceita (anel)"),
        store="memory",
        fields=("Ring",),
        kind="pseudonym",
        life=_PROCESS,
        ends=("process end",),
        purpose="attribution",
        basis=_INTEREST,
        sealed=True,
    ),
    # ------------------------------------------------------------ Redis
    Row(
        group=Text("Copies of clicks", "Cópias de cliques"),
        store="redis",
        fields=("trilha:click:*",),
        kind="pseudonym",
        life=Life.of_setting("click_ttl", timedelta(seconds=1)),
        ends=("expiry", "key destruction"),
        purpose="attribution",
        basis=_INTEREST,
        sealed=True,
    ),
    Row(
        group=Text("Trial writes", "Gravações de teste"),
        store="redis",
        fields=("trilha:probe*",),
        kind="open",
        life=Life(span=timedelta(seconds=1)),
        ends=("expiry",),
        purpose="operation",
        basis="not personal data",
    ),
    # ------------------------------------------------------------ spool
    Row(
        group=Text("Clicks on their way to SQL", "Cliques a caminho do SQL"),
        store="spool",
        fields=_of(
            "Click",
            "id link_id node ad_key method params referer_host language prefetch"
            " visitor_key visitor_period fbclid_key gpc",
        ),
        kind="pseudonym",
        life=_SETTLED,
        ends=("settling",),
        purpose="attribution",
        basis=_INTEREST,
    ),
    Row(
        group=Text("Sealed originals on their way to SQL", "Originais selados a caminho do SQL"),
        store="spool",
        fields=("Click.sealed",),
        kind="raw",
        life=_SETTLED,
        ends=("settling", "key destruction"),
        purpose="reporting",
        basis=_INTEREST,
        sealed=True,
    ),
    Row(
        group=Text("Starts on their way to SQL", "Inícios a caminho do SQL"),
        store="spool",
        fields=_of("Start", "id owner at_ms click"),
        kind="personal",
        life=_SETTLED,
        ends=("settling",),
        purpose="attribution",
        basis=_INTEREST,
    ),
    Row(
        group=Text(
            "Conversions on their way to SQL; of e-mail, phone and names only digests (SHA-256)",
            "Conversões a caminho do SQL; de e-mail, telefone e nomes só resumos (SHA-256)",
        ),
        store="spool",
        fields=_of("Conversion", "id event at_ms owner click order_id money custom person"),
        kind="personal",
        life=_SETTLED,
        ends=("settling",),
        purpose="reporting",
        basis=_INTEREST,
    ),
    Row(
        group=Text("Books and tombstones on their way to SQL", "Contagens e lápides a caminho do SQL"),
        store="spool",
        fields=(
            *_of("BookEntry", "node boot minute issued synced written token_only visible spooled"),
            "Tombstone.click_id",
        ),
        kind="open",
        life=_SETTLED,
        ends=("settling",),
        purpose="accounts",
        basis="not personal data",
    ),
    # ------------------------------------------------------------ SQL
    Row(
        group=Text(
            "Original of a click: IP, user agent, fbclid, fbc, fbp, referrer",
            "Original do clique: IP, user agent, fbclid, fbc, fbp, referenciador",
        ),
        store="sql",
        fields=("clicks.sealed",),
        kind="raw",
        life=_SEALED,
        ends=("nulling", "key destruction"),
        purpose="reporting",
        basis=_INTEREST,
        sealed=True,
    ),
    Row(
        group=Text("Pseudonyms of a visitor", "Pseudônimos do visitante"),
        store="sql",
        fields=_of("clicks", "visitor_key visitor_period fbclid_key"),
        kind="pseudonym",
        life=_CLICK,
        ends=("aggregation",),
        purpose="quality",
        basis="legitimate interest",
    ),
    Row(
        group=Text("Click", "Clique"),
        store="sql",
        fields=_of(
            "clicks",
            "id link_id node ad_key clicked_at method params referer_host language prefetch gpc spooled"
            " erased_at",
        ),
        kind="pseudonym",
        life=_CLICK,
        ends=("aggregation",),
        purpose="attribution",
        basis=_INTEREST,
    ),
    Row(
        group=Text(
            "Place, device, traffic class and scores of a click",
            "Local, aparelho, classe de tráfego e pontuações do clique",
        ),
        store="sql",
        fields=_of(
            "clicks",
            "country region city asn geo_source device os os_version browser browser_version app automation robot"
            " traffic_class tentative evidence repeats bot_score fraud_score reasons baseline_bot baseline_fraud"
            " scored_at",
        ),
        kind="pseudonym",
        life=_CLICK,
        ends=("aggregation",),
        purpose="quality",
        basis="legitimate interest",
    ),
    Row(
        group=Text("Owner of a click: a Telegram user", "Dono do clique: um usuário do Telegram"),
        store="sql",
        fields=_of("clicks", "owner_bot_id owner_telegram_id started_at"),
        kind="personal",
        life=_CLICK,
        ends=("aggregation",),
        purpose="attribution",
        basis=_INTEREST,
    ),
    Row(
        group=Text("Starts: who pressed START and when", "Inícios: quem tocou em INICIAR e quando"),
        store="sql",
        fields=_of("starts", "id bot_id telegram_id started_at kind click_id reply replied_at"),
        kind="personal",
        life=_CLICK,
        ends=("deletion",),
        purpose="attribution",
        basis=_INTEREST,
    ),
    Row(
        group=Text(
            "People of a bot, from their last start on: first and last start and the clicks that won, whether they"
            " blocked it",
            "Pessoas de um bot, a partir do último início: primeiro e último início e os cliques que os trouxeram,"
            " se o bloquearam",
        ),
        store="sql",
        fields=_of(
            "bot_users",
            "bot_id telegram_id first_started_at last_started_at first_click_id first_click_at last_click_id"
            " last_click_at blocked blocked_at",
        ),
        kind="personal",
        life=_CLICK,
        ends=("deletion",),
        purpose="attribution",
        basis=_INTEREST,
    ),
    Row(
        group=Text("Conversions to report", "Conversões a enviar"),
        store="sql",
        fields=_of(
            "outbox",
            "event_id lane event event_at click_id link_id ad_key bot_id telegram_id value currency order_id custom state"
            " reason code trace attempts next_at sent_at matched",
        ),
        kind="personal",
        life=_CLICK,
        ends=("deletion",),
        purpose="reporting",
        basis=_INTEREST,
    ),
    Row(
        group=Text(
            "Digests (SHA-256) of the e-mail, phone and names that a conversion was reported with",
            "Resumos (SHA-256) do e-mail, telefone e nomes com que uma conversão foi informada",
        ),
        store="sql",
        fields=("outbox.person",),
        kind="personal",
        life=_SEALED,
        ends=("nulling",),
        purpose="reporting",
        basis=_INTEREST,
    ),
    Row(
        group=Text("Books: figures of each minute", "Contagens por minuto"),
        store="sql",
        fields=_of("accounting", "node boot minute issued synced written token_only visible spooled"),
        kind="open",
        life=_CLICK,
        ends=("deletion",),
        purpose="accounts",
        basis="not personal data",
    ),
    Row(
        group=Text("Totals of deleted clicks", "Totais de cliques excluídos"),
        store="sql",
        fields=_of("click_totals", "day link_id ad_key country traffic_class clicks starts"),
        kind="open",
        life=_ALWAYS,
        ends=("none",),
        purpose="accounts",
        basis="not personal data",
    ),
    Row(
        group=Text("Names of ads, as the ads send them", "Nomes de anúncios, como os anúncios os enviam"),
        store="sql",
        fields=_of("ads", "link_id ad_key source campaign medium content term"),
        kind="open",
        life=_OPERATOR,
        ends=("none",),
        purpose="operation",
        basis="not personal data",
    ),
    Row(
        group=Text("Links, bots and pixels of the operator", "Links, bots e pixels do operador"),
        store="sql",
        fields=(
            *_of("links", "id slug name paused strategy bridge fallback_url pixel_id events_off created_at"),
            *_of("link_bots", "link_id bot_id weight priority"),
            *_of("greetings", "link_id language text buttons photo_url"),
            *_of(
                "bots",
                "id username username_key created_at health health_at telegram_id worker worker_until"
                " heard_at checked_at update_pts update_qts update_date",
            ),
            *_of("pixels", "id created_at"),
            *_of("webhooks", "name url created_at"),
            *_of("lanes", "lane held_at hold_reason sent_at warning"),
            *_of("catalog", "id version"),
        ),
        kind="open",
        life=_OPERATOR,
        ends=("none",),
        purpose="operation",
        basis="not personal data",
    ),
    Row(
        group=Text(
            "Keys of days and tokens, wrapped under the master secret, which is never in SQL",
            "Chaves de dias e de tokens, cifradas sob o segredo mestre, que nunca está no SQL",
        ),
        store="sql",
        fields=("shared_keys.wrapped",),
        kind="secret",
        life=_SEALED,
        ends=("key destruction",),
        purpose="security",
        basis="not personal data",
    ),
    Row(
        group=Text(
            "Tokens of bots and pixels and secrets of webhooks, sealed under the key ring, and digests of the secrets of"
            " Telegram's webhooks",
            "Tokens de bots e pixels e segredos de webhooks, cifrados sob o chaveiro, e resumos dos segredos dos webhooks"
            " do Telegram",
        ),
        store="sql",
        fields=(
            *_of("bots", "token webhook_key"),
            *_of("pixels", "token app_secret"),
            "webhooks.secret",
        ),
        kind="secret",
        life=_OPERATOR,
        ends=("none",),
        purpose="security",
        basis="not personal data",
    ),
    Row(
        group=Text("That a key was there", "Que uma chave existiu"),
        store="sql",
        fields=_of("shared_keys", "kind number copy master_id created_at destroyed_at active_from"),
        kind="open",
        life=_ALWAYS,
        ends=("none",),
        purpose="security",
        basis="not personal data",
    ),
    Row(
        group=Text("Who was erased, by a keyed digest", "Quem foi excluído, por um resumo com chave"),
        store="sql",
        fields=_of("erasures", "person_key erased_at"),
        kind="pseudonym",
        life=_CLICK,
        ends=("deletion",),
        purpose="legal",
        basis="legal obligation",
    ),
    Row(
        group=Text(
            "Copies of erased clicks that are still to be discarded",
            "Cópias de cliques excluídos ainda a descartar",
        ),
        store="sql",
        fields=_of("unerased", "click_id store"),
        kind="open",
        life=Life.ended_by("until they are discarded", "até o descarte"),
        ends=("deletion",),
        purpose="legal",
        basis="legal obligation",
    ),
    Row(
        group=Text(
            "Audit: what was done with personal data, in counts, and the number of the dashboard's user who did it",
            "Auditoria: o que se fez, em contagens, e o número do usuário do painel que o fez",
        ),
        store="sql",
        fields=_of("audit", "id at action detail"),
        kind="open",
        life=_ALWAYS,
        ends=("none",),
        purpose="legal",
        basis="legal obligation",
    ),
    Row(
        group=Text("What is still to be counted into reports", "O que ainda será contado nos relatórios"),
        store="sql",
        fields=(
            *_of(
                "click_changes",
                "seq sign moment link_id ad_key clicked erased started_at country region city device os browser app traffic_class bot_score fraud_score has_address has_agent has_fbclid",
            ),
            *_of("start_changes", "seq sign started_at bot_id kind"),
            *_of(
                "event_changes",
                "seq sign event event_at moment link_id ad_key lane state reason value currency",
            ),
        ),
        kind="open",
        life=Life.ended_by("until the worker has counted it: seconds", "até a contagem: segundos"),
        ends=("deletion",),
        purpose="reporting",
        basis="not personal data",
    ),
    Row(
        group=Text("Counts for reports", "Contagens para relatórios"),
        store="sql",
        fields=(
            *_of("rollup_state", "id zone"),
            *_of("rollup_hours", "trait hour link_id value clicks starts alone"),
            *_of("rollup_days", "trait day link_id value clicks starts alone wait_ms"),
            *_of("rollup_ads", "trait day link_id ad_key value clicks starts alone wait_ms"),
            *_of("rollup_starts", "day bot_id kind starts"),
            *_of("rollup_deliveries", "day link_id lane event currency state reason events micros"),
            *_of("rollup_events", "hour link_id event currency events micros"),
            *_of("rollup_sales", "day link_id ad_key event currency events micros"),
        ),
        kind="open",
        life=Life.ended_by("as long as what they count", "enquanto existir o que contam"),
        ends=("deletion",),
        purpose="reporting",
        basis="not personal data",
    ),
    Row(
        group=Text("People who may use the dashboard", "Pessoas que podem usar o painel"),
        store="sql",
        fields=_of("users", "id name name_key password role created_at disabled_at"),
        kind="personal",
        life=_OPERATOR,
        ends=("deletion",),
        purpose="security",
        basis="legitimate interest",
    ),
    Row(
        group=Text("Their sessions", "As sessões delas"),
        store="sql",
        fields=_of("sessions", "digest user_id created_at seen_at expires_at"),
        kind="secret",
        life=Life.days(7),
        ends=("deletion",),
        purpose="security",
        basis="legitimate interest",
    ),
    Row(
        group=Text("Alerts, from when they are over", "Alertas, a partir do momento em que terminam"),
        store="sql",
        fields=(
            *_of("alerts", "rule subject since fired_at told_at cleared_at resolved_at flaps version detail"),
            *_of("alert_judges", "node judged_at waits_since"),
        ),
        kind="open",
        life=Life.days(ALERT_DAYS),
        ends=("deletion",),
        purpose="operation",
        basis="not personal data",
    ),
    Row(
        group=Text(
            "Keys of the rows that changed while a move copies (a person's: bot and Telegram id), and how far it is",
            "Chaves das linhas alteradas durante a cópia de uma mudança (de uma pessoa: bot e id do Telegram), e até onde foi",
        ),
        store="sql",
        fields=("move_*", "trilha_move"),
        kind="personal",
        life=Life.ended_by(
            "until copied; at the latest the end of the move, or `trilha move --abandon`",
            "até serem copiadas; no máximo o fim da mudança, ou `trilha move --abandon`",
        ),
        ends=("deletion",),
        purpose="operation",
        basis="legitimate interest",
    ),
    # ------------------------------------------------------------ files
    Row(
        group=Text(
            "The SQLite file that was moved to PostgreSQL: nothing ends in it by itself, no erasure reaches it",
            "O arquivo SQLite que foi movido para o PostgreSQL: nada termina nele por si só, nenhuma exclusão o alcança",
        ),
        store="disk",
        fields=("a moved trilha.db",),
        kind="personal",
        life=_OPERATOR,
        ends=("deletion", "key destruction"),
        purpose="operation",
        basis="legitimate interest",
        sealed=True,
    ),
    Row(
        group=Text("Records that could not be settled", "Registros que não puderam ser gravados"),
        store="disk",
        fields=("spool/aside/*.bin",),
        kind="personal",
        life=Life.days(ASIDE_DAYS),
        ends=("deletion", "key destruction"),
        purpose="operation",
        basis="legitimate interest",
        sealed=True,
    ),
    Row(
        group=Text(
            "Keys of a day, after that day: one seals, one makes visitor keys",
            "Chaves de um dia, após esse dia: uma sela, outra gera pseudônimos",
        ),
        store="disk",
        fields=("Keys.periods",),
        kind="secret",
        life=_SEALED,
        ends=("key destruction",),
        purpose="security",
        basis="not personal data",
    ),
    Row(
        group=Text("Keys of tokens, master secret", "Chaves dos tokens, segredo mestre"),
        store="disk",
        fields=_of("Keys", "masters master_id mac"),
        kind="secret",
        life=_ROTATED,
        ends=("replacement",),
        purpose="security",
        basis="not personal data",
    ),
    Row(
        group=Text(
            "Lasting key: look-ups by fbclid, tombstones of people",
            "Chave duradoura: buscas por fbclid, marcas de exclusão de pessoas",
        ),
        store="disk",
        fields=_of("Keys", "lasting horizon"),
        kind="secret",
        life=_ALWAYS,
        ends=("none",),
        purpose="security",
        basis="not personal data",
    ),
    Row(
        group=Text(
            "Journal of erasures: keyed digests of Telegram ids, so that no backup brings anybody back",
            "Diário de exclusões: resumos com chave de ids do Telegram, para que nenhum backup traga alguém de volta",
        ),
        store="disk",
        fields=("secrets/erasures",),
        kind="pseudonym",
        life=_CLICK,
        ends=("deletion",),
        purpose="legal",
        basis="legal obligation",
    ),
    Row(
        group=Text(
            "How an import reads its source, and its last row until it is done (no row whose id is a person's)",
            "Como uma importação lê a origem, e sua última linha até o fim (nenhuma cujo id seja o da pessoa)",
        ),
        store="disk",
        fields=("imports/*.json",),
        kind="open",
        life=_OPERATOR,
        ends=("deletion",),
        purpose="operation",
        basis="not personal data",
    ),
    Row(
        group=Text(
            "Backups made by hand: what SQL and the spools had; no key",
            "Backups feitos à mão: o que o SQL e os spools tinham; nenhuma chave",
        ),
        store="disk",
        fields=("trilha-*.tar.gz",),
        kind="personal",
        life=_OPERATOR,
        ends=("deletion", "key destruction"),
        purpose="operation",
        basis="legitimate interest",
        sealed=True,
    ),
    Row(
        group=Text(
            "Archive for analytics, where it is made: clicks, starts and conversions without who it was (a keyed digest if asked for)",
            "Arquivo para análise, onde é feito: cliques, starts e conversões sem quem foi (um resumo com chave, se pedido)",
        ),
        store="disk",
        fields=("archive/*/day=*/part-0.parquet", "archive/manifest.json"),
        kind="pseudonym",
        life=_CLICK,
        ends=("deletion", "replacement"),
        purpose="attribution",
        basis=_INTEREST,
    ),
    Row(
        group=Text("Names and hashes of API keys", "Nomes e hashes das chaves de API"),
        store="disk",
        fields=("secrets/api-keys",),
        kind="secret",
        life=_OPERATOR,
        ends=("none",),
        purpose="security",
        basis="not personal data",
    ),
    Row(
        group=Text(
            "Sessions of bots with Telegram, and how far they are",
            "Sessões dos bots com o Telegram, e até onde foram",
        ),
        store="disk",
        fields=("bots/*.session", "bots/*.state", "bots/worker", "secrets/telegram-api-hash"),
        kind="secret",
        life=_OPERATOR,
        ends=("none",),
        purpose="security",
        basis="not personal data",
    ),
    Row(
        group=Text(
            "Password of the mail server and secret of the webhook that alerts go to, if they do",
            "Senha do servidor de e-mail e segredo do webhook que recebem alertas, se houver",
        ),
        store="disk",
        fields=("secrets/smtp-password", "secrets/alert-webhook"),
        kind="secret",
        life=_OPERATOR,
        ends=("none",),
        purpose="security",
        basis="not personal data",
    ),
    Row(
        group=Text("Copy of links and bots", "Cópia de links e bots"),
        store="disk",
        fields=("cache/catalog.json",),
        kind="open",
        life=Life.ended_by("until the next change", "até a próxima alteração"),
        ends=("replacement",),
        purpose="operation",
        basis="not personal data",
    ),
    Row(
        group=Text(
            "Access log of Marco Civil, art. 15, if it is turned on",
            "Registro de acesso do Marco Civil, art. 15, se ativado",
        ),
        store="disk",
        fields=("access-log/*", "secrets/access-log.json"),
        kind="raw",
        life=Life.days(KEEP_DAYS),
        ends=("deletion", "key destruction"),
        purpose="legal",
        basis="legal obligation",
        sealed=True,
    ),
    # ------------------------------------------------------------ logs
    Row(
        group=Text("Logs: counts and fixed phrases, redacted", "Logs: contagens e frases fixas, com redação"),
        store="logs",
        fields=("stderr", "run/valkey.log"),
        kind="open",
        life=Life.ended_by("as the operator rotates them", "conforme a rotação do operador"),
        ends=("none",),
        purpose="operation",
        basis="not personal data",
    ),
)
