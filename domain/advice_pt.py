"""Advice in Brazilian Portuguese, by the English sentence. A test holds it complete, and its commands equal."""

from collections.abc import Mapping

_DE_NOVO = "Depois: trilha outbox retry --state skipped"
_ESTE = "Este fica como está: corrija quem o informa e informe de novo com outro id de pedido"
_SOZINHO = "nada: é enviado de novo sozinho"
_AGAIN = "trilha outbox retry --state skipped"
_STAYS = "This one stays as it is: mend what reports it, and report it once more under another order id"

PORTUGUESE: Mapping[str, str] = {
    "nothing: the person was erased, and nothing of them is ever sent": "nada: a pessoa foi apagada, e nada dela é enviado",
    "nothing: another tracker has taken it, and no history is ever sent": "nada: foi outro rastreador que o registrou, e nenhum histórico é enviado",
    "nothing: the visitor asked for it, and TRILHA_HONOUR_GPC says to obey": "nada: o visitante pediu, e TRILHA_HONOUR_GPC manda obedecer",
    f"give it one: trilha link edit SLUG --pixel ID. Then: {_AGAIN}": f"dê um a ele: trilha link edit SLUG --pixel ID. {_DE_NOVO}",
    f"switch the event on, if it is wanted: trilha link events SLUG --on EVENT. Then: {_AGAIN}": f"ligue o evento, se for desejado: trilha link events SLUG --on EVENT. {_DE_NOVO}",
    f"see why settling was behind: trilha doctor. Then: {_AGAIN}": f"veja por que a gravação estava atrasada: trilha doctor. {_DE_NOVO}",
    f"nothing, if it was no person. After trilha rescore has found otherwise: {_AGAIN}": f"nada, se não era uma pessoa. Se trilha rescore achar outra coisa: {_AGAIN}",
    "nothing: it is looked for again by itself, for a day": "nada: é procurado de novo sozinho, por um dia",
    f"nothing, if they came by no link of yours. If settling was behind: {_AGAIN}": f"nada, se não veio por um link seu. Se a gravação estava atrasada: {_AGAIN}",
    "see which click was reported with it: this installation has never had that one": "veja com qual clique foi informado: esta instalação nunca teve esse clique",
    f"nothing, if it was removed on purpose. Else make it again. Then: {_AGAIN}": f"nada, se foi removido de propósito. Senão, crie de novo. {_DE_NOVO}",
    f"nothing, if that was meant. Else add it again. Then: {_AGAIN}": f"nada, se era a intenção. Senão, adicione de novo. {_DE_NOVO}",
    "nothing any more for this one: see trilha doctor for what made it wait, before others are too old": "para este, mais nada: veja em trilha doctor o que o fez esperar, antes que outros fiquem velhos demais",
    "the destination took fewer events than it was sent: see Diagnostics in Events Manager, or ask Meta with the trace": "o destino recebeu menos eventos do que foram enviados: veja Diagnósticos no Gerenciador de Eventos, ou pergunte à Meta com o trace",
    "set the clock of this machine, or of what reports it; then nothing: it waits until its time": "acerte o relógio desta máquina, ou de quem informa; depois, nada: espera a sua hora",
    "nothing: it is sent again by itself": _SOZINHO,
    f"report value and currency with it. {_STAYS}": f"informe valor e moeda com ele. {_ESTE}",
    "report the person's e-mail or phone with it: nothing else tells them from others": "informe o e-mail ou telefone da pessoa com ele: nada mais a distingue de outras",
    "let the token's system user manage the pixel (Business settings, Data sources), then: trilha outbox retry --pixel {pixel}": "deixe o usuário do sistema do token gerenciar o pixel (Configurações do negócio, Fontes de dados), depois: trilha outbox retry --pixel {pixel}",
    "let the token's system user manage the pixel (Business settings, Data sources)": "deixe o usuário do sistema do token gerenciar o pixel (Configurações do negócio, Fontes de dados)",
    "Meta knows no such pixel, or this token may not use it: compare its id with Events Manager; trilha pixel status {pixel}": "a Meta não conhece esse pixel, ou este token não pode usá-lo: compare o id com o Gerenciador de Eventos; trilha pixel status {pixel}",
    "Meta does not know this click id (fbclid): nothing for one; for many, see what changes your ads' URLs on the way": "a Meta não conhece este id de clique (fbclid): para um, nada; para muitos, veja o que muda as URLs dos seus anúncios no caminho",
    f"report value and currency with every Purchase. {_STAYS}": f"informe valor e moeda com toda Purchase. {_ESTE}",
    f"report e-mail, phone and names in clear: they are hashed here as Meta wants it. {_STAYS}": f"informe e-mail, telefone e nomes em texto claro: aqui viram hash como a Meta quer. {_ESTE}",
    f"Meta refuses a field, which the reason names. {_STAYS}": f"a Meta recusa um campo, que o motivo diz. {_ESTE}",
    f"it has more than Meta takes. {_STAYS}": f"tem mais do que a Meta aceita. {_ESTE}",
    "make a new access token in Events Manager, then: trilha pixel token {pixel} --token-file -": "gere um novo token de acesso no Gerenciador de Eventos, depois: trilha pixel token {pixel} --token-file -",
    "its app demands a proof: give the app's secret too: trilha pixel token {pixel} --token-file FILE --app-secret-file FILE": "o aplicativo exige uma prova: dê também o segredo dele: trilha pixel token {pixel} --token-file FILE --app-secret-file FILE",
    "this version of Meta's API has ended: update Trilha; what waits is then sent by itself": "esta versão da API da Meta acabou: atualize o Trilha; o que espera é então enviado sozinho",
    "Meta blocks the account for now: see Account Quality in Business Support; it is sent again by itself": "a Meta bloqueia a conta por ora: veja Qualidade da Conta no Suporte; é enviado de novo sozinho",
    "nothing: it asked for fewer calls, and gets them; it is sent again by itself": "nada: pediu menos chamadas e as terá; é enviado de novo sozinho",
    "its receiver does not take this event: see its log": "o receptor não aceita este evento: veja o log dele",
    "let the receiver know the webhook's secret, or: trilha webhook add {webhook} --replace --url URL --secret-file FILE": "dê ao receptor o segredo do webhook, ou: trilha webhook add {webhook} --replace --url URL --secret-file FILE",
    "give the webhook its right URL: trilha webhook add {webhook} --replace --url URL": "dê ao webhook a URL certa: trilha webhook add {webhook} --replace --url URL",
    "its URL may not be posted to. If it is in your own network: TRILHA_WEBHOOK_HOSTS": "não se pode enviar à URL dele. Se está na sua própria rede: TRILHA_WEBHOOK_HOSTS",
    "a fault in the program: please report it": "um defeito do programa: por favor, avise",
    "see whether this machine reaches the destination; it is sent again by itself": "veja se esta máquina alcança o destino; é enviado de novo sozinho",
    "nothing: the destination has it": "nada: o destino já tem",
    "see the reason. When what it says is mended: trilha outbox retry ID": "veja o motivo. Quando estiver corrigido: trilha outbox retry ID",
    "see the reason": "veja o motivo",
    "mend what it says, if need be by trilha pixel token {pixel} --token-file -; it is tried again every 15 minutes, and at once after trilha pixel test {pixel}": "corrija o que ele diz, se preciso com trilha pixel token {pixel} --token-file -; é tentado de novo a cada 15 minutos, e logo depois de trilha pixel test {pixel}",
    "mend what it says, if need be by trilha webhook add {webhook} --replace --url URL; it is tried again every 15 minutes. To see what comes back: trilha webhook test {webhook}": "corrija o que ele diz, se preciso com trilha webhook add {webhook} --replace --url URL; é tentado de novo a cada 15 minutos. Para ver o que volta: trilha webhook test {webhook}",
}
