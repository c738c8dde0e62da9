"""The record of processing operations (LGPD, art. 37), filled in from the retention table and the settings.

Facts about the operator that no program can know stand as placeholders to be filled in. Not legal advice.
"""

from dataclasses import dataclass
from typing import Any

from privacy.retention import TABLE
from privacy.retention_page import BASES, PURPOSES, Language, render, said
from privacy.retention_row import Text
from runtime.settings import Settings

_TO_FILL_IN = Text("[TO FILL IN]", "[A PREENCHER]")
_TITLE = Text(
    "Record of processing operations (LGPD, art. 37)",
    "Registro das operações de tratamento de dados pessoais (LGPD, art. 37)",
)
_NOTE = Text(
    "Made by `trilha privacy record` from the retention table and the settings in force. What stands in [brackets] is for you to fill"
    " in; have it checked by your data-protection officer.",
    "Gerado por `trilha privacy record` a partir da tabela de retenção e da configuração em vigor. O que está entre [colchetes] deve ser"
    " preenchido; submeta o texto ao seu encarregado.",
)
_CONTROLLER = Text("Controller", "Controlador")
_CONTACT = Text("Data-protection officer and contact", "Encarregado e contato")
_OPERATORS = Text("Processors (hosting, messaging)", "Operadores (hospedagem, mensageria)")
_SUBJECTS = (
    Text(
        "Visitors who open an ad's link, and Telegram users who start the bot",
        "Visitantes que abrem o link de um anúncio e usuários do Telegram que iniciam o bot",
    ),
)
_CATEGORIES = (
    Text(
        "Of the visit, sealed: IP address, user agent, fbclid, fbc, fbp, referrer",
        "Da visita, selados: endereço IP, user agent, fbclid, fbc, fbp, referenciador",
    ),
    Text(
        "Under pseudonyms: time, ad and its parameters, referrer's host, language, place (city at most), device, traffic class, scores",
        "Sob pseudônimos: hora, anúncio e seus parâmetros, host do referenciador, idioma, local (no máximo cidade), aparelho, classe de"
        " tráfego, pontuações",
    ),
    Text(
        "Of Telegram: the user's numeric id and the time of START",
        "Do Telegram: id numérico do usuário e hora do INICIAR",
    ),
    Text("No sensitive data (art. 5, II) is asked for", "Nenhum dado sensível (art. 5º, II) é solicitado"),
)
_SHARING = (
    Text(
        "Meta Platforms (Conversions API): events of clicks that led to a start, with the opened original, no later than its day of"
        " deletion; only for links with a pixel. International transfer: art. 33 [name the mechanism]",
        "Meta Platforms (API de Conversões): eventos de cliques que levaram a um início, com o original aberto, até o prazo de exclusão;"
        " somente em links com pixel. Transferência internacional: art. 33 [indicar o mecanismo]",
    ),
    Text(
        "Telegram: the visitor is redirected to it with a token that holds no personal data",
        "Telegram: o visitante é redirecionado com um token sem dados pessoais",
    ),
    Text("Others: [TO FILL IN]", "Outros: [A PREENCHER]"),
)
_MEASURES = (
    Text(
        "Originals are sealed (AES-256-GCM) under a random key of their day, which is destroyed: copies and backups become unreadable",
        "Originais selados (AES-256-GCM) com chave aleatória do dia, depois destruída: cópias e backups tornam-se ilegíveis",
    ),
    Text(
        "Pseudonyms are keyed (HMAC-SHA-256) under keys that are kept apart from the data, one for each day (art. 13, par. 4)",
        "Pseudônimos com chave (HMAC-SHA-256), mantida separada dos dados, uma por dia (art. 13, § 4º)",
    ),
    Text(
        "Deletion by calendar, in small transactions; deleted bytes are overwritten (SQLite) or reclaimed by autovacuum (PostgreSQL)",
        "Exclusão por calendário, em pequenas transações; bytes excluídos são sobrescritos (SQLite) ou recuperados pelo autovacuum (PostgreSQL)",
    ),
    Text(
        "Files of one system user only (0600, 0700); the API needs a key and listens on a private address",
        "Arquivos de um único usuário do sistema (0600, 0700); a API exige chave e escuta em endereço privado",
    ),
    Text(
        "Logs are redacted and hold counts and fixed phrases; metrics have no personal labels; no cookie is set",
        "Logs com redação automática, só contagens e frases fixas; métricas sem rótulos pessoais; nenhum cookie é gravado",
    ),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """The record, in one language; `retention` is a list of rows with the spans of the settings in force."""

    language: Language
    controller: str
    contact: str
    operators: str
    settings: Settings

    @classmethod
    def of(
        cls, settings: Settings, language: Language, *, controller: str = "", contact: str = ""
    ) -> "Record":
        """With placeholders for what is not given."""
        blank = said(_TO_FILL_IN, language)
        return cls(
            language=language,
            controller=controller or blank,
            contact=contact or blank,
            operators=blank,
            settings=settings,
        )

    def values(self) -> dict[str, Any]:
        """For machines."""
        return {
            "language": self.language,
            "controller": self.controller,
            "contact": self.contact,
            "processors": self.operators,
            "purposes": [{"purpose": purpose, "legal_bases": bases} for purpose, bases in self._purposes()],
            "data_subjects": self._said(_SUBJECTS),
            "categories": self._said(_CATEGORIES),
            "sharing": self._said(_SHARING),
            "retention": [
                {
                    "data": said(row.group, self.language),
                    "store": row.store,
                    "kind": row.kind,
                    "sealed": row.sealed,
                    "kept_for": said(row.life.text(self.settings), self.language),
                    "ended_by": list(row.ends),
                    "fields": list(row.fields),
                }
                for row in TABLE
            ],
            "security_measures": self._said(_MEASURES),
        }

    def text(self) -> str:
        """For people: Markdown."""
        purposes = [f"{purpose}: {'; '.join(bases)}" for purpose, bases in self._purposes()]
        sections = (
            (Text("Purposes and legal bases", "Finalidades e bases legais"), purposes),
            (Text("Data subjects", "Titulares"), self._said(_SUBJECTS)),
            (Text("Categories of data", "Categorias de dados"), self._said(_CATEGORIES)),
            (Text("Sharing", "Compartilhamento"), self._said(_SHARING)),
            (Text("Security measures", "Medidas de segurança"), self._said(_MEASURES)),
        )
        parts = [f"# {self._say(_TITLE)}", self._say(_NOTE), _listed(self._parties())]
        parts += [f"## {self._say(title)}\n\n{_listed(items)}" for title, items in sections]
        parts += [f"## {self._say(Text('Retention', 'Retenção'))}"]
        parts += [render(self.settings, self.language, fields=False)]
        return "\n\n".join(parts)

    def _parties(self) -> list[str]:
        pairs = ((_CONTROLLER, self.controller), (_CONTACT, self.contact), (_OPERATORS, self.operators))
        return [f"{self._say(name)}: {value}" for name, value in pairs]

    def _purposes(self) -> list[tuple[str, list[str]]]:
        """Purposes of personal data, each with the bases its rows name, in the order of the table."""
        found: dict[str, dict[str, None]] = {}
        for row in TABLE:
            if row.basis != "not personal data":
                found.setdefault(row.purpose, {})[self._say(BASES[row.basis])] = None
        return [(self._say(PURPOSES[purpose]), list(bases)) for purpose, bases in found.items()]

    def _said(self, texts: tuple[Text, ...]) -> list[str]:
        return [self._say(text) for text in texts]

    def _say(self, text: Text) -> str:
        return said(text, self.language)


def _listed(items: list[str]) -> str:
    return "\n".join(f"- {item}" for item in items)
