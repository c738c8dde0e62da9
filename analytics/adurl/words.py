"""What is said of each finding, and how to mend it, in English and Portuguese."""

from collections.abc import Mapping

Said = tuple[str, str]
WORDS: Mapping[str, Mapping[str, Said]] = {
    "empty": {
        "en": ("There is nothing to check.", "Paste the URL of the ad, or its URL parameters."),
        "pt": ("Não há nada para conferir.", "Cole a URL do anúncio ou os parâmetros de URL."),
    },
    "not_a_url": {
        "en": ("This cannot be read as a URL.", "Copy the ad URL of the link again."),
        "pt": ("Isto não pode ser lido como URL.", "Copie de novo a URL de anúncio do link."),
    },
    "telegram_link": {
        "en": (
            "This leads straight to Telegram ({host}): no click is seen.",
            "Paste the ad URL of your link; it leads to the bot.",
        ),
        "pt": (
            "Isto leva direto ao Telegram ({host}): nenhum clique é visto.",
            "Cole a URL de anúncio do seu link; ela leva ao bot.",
        ),
    },
    "no_scheme": {
        "en": ("It does not begin with https://.", "Write {scheme}:// before it."),
        "pt": ("Não começa com https://.", "Escreva {scheme}:// na frente."),
    },
    "http": {
        "en": ("It begins with http instead of https.", "Write https://."),
        "pt": ("Começa com http em vez de https.", "Escreva https://."),
    },
    "wrong_host": {
        "en": ("The host is {host}; your links are at {ours}.", "Use {ours}."),
        "pt": ("O domínio é {host}; seus links estão em {ours}.", "Use {ours}."),
    },
    "wrong_path": {
        "en": ("The path {path} is no link: it has to be /go/SLUG.", "Copy the ad URL of the link again."),
        "pt": (
            "O caminho {path} não é um link: tem de ser /go/SLUG.",
            "Copie de novo a URL de anúncio do link.",
        ),
    },
    "wrong_slug": {
        "en": ("There is no link {slug}.", "Use the slug of a link that there is; case counts."),
        "pt": ("Não existe o link {slug}.", "Use o slug de um link que existe; maiúsculas contam."),
    },
    "no_question_mark": {
        "en": (
            "Parameters follow the slug without a ?: they are taken for a part of it.",
            "Write ? before the first parameter.",
        ),
        "pt": (
            "Os parâmetros seguem o slug sem ?: são lidos como parte dele.",
            "Escreva ? antes do primeiro parâmetro.",
        ),
    },
    "double_question_mark": {
        "en": (
            "There is more than one ?: parameters were pasted onto a URL that has some.",
            "Leave the first ?, and write & for the others.",
        ),
        "pt": (
            "Há mais de um ?: foram colados parâmetros numa URL que já tem.",
            "Deixe o primeiro ? e escreva & no lugar dos outros.",
        ),
    },
    "leading_mark": {
        "en": (
            "The parameters begin with {mark}, which Meta writes itself.",
            "Begin with the first name.",
        ),
        "pt": (
            "Os parâmetros começam com {mark}, que o próprio Meta escreve.",
            "Comece pelo primeiro nome.",
        ),
    },
    "fragment_before_query": {
        "en": (
            "A # stands before the parameters: browsers send nothing of what follows it.",
            "Take out what begins with #.",
        ),
        "pt": (
            "Há um # antes dos parâmetros: o navegador não envia nada do que vem depois dele.",
            "Tire o que começa com #.",
        ),
    },
    "fragment": {
        "en": ("What follows the # is never sent.", "Take it out."),
        "pt": ("O que vem depois do # nunca é enviado.", "Tire."),
    },
    "html_escaped": {
        "en": ("It has &amp; in place of &: it was copied out of a page's source.", "Write &."),
        "pt": ("Tem &amp; no lugar de &: foi copiada do código de uma página.", "Escreva &."),
    },
    "space": {
        "en": (
            "There is a space in {where}: many programs end the URL there.",
            "Write %20, or nothing.",
        ),
        "pt": (
            "Há um espaço em {where}: muitos programas encerram a URL ali.",
            "Escreva %20, ou nada.",
        ),
    },
    "unencoded": {
        "en": ("{name} has characters that a URL may not hold: {characters}", "Write {encoded} instead."),
        "pt": ("{name} tem caracteres que uma URL não pode ter: {characters}", "Escreva {encoded}."),
    },
    "bad_percent": {
        "en": ("{name} has a % that encodes nothing.", "Write %25 for the sign itself."),
        "pt": ("{name} tem um % que não codifica nada.", "Escreva %25 para o próprio sinal."),
    },
    "encoded_twice": {
        "en": ("{name} is percent-encoded twice: reports would show %-signs.", "Encode it once."),
        "pt": (
            "{name} está codificado duas vezes: os relatórios mostrariam sinais de %.",
            "Codifique uma vez.",
        ),
    },
    "macro_unfilled": {
        "en": (
            "Meta has not filled in {macro} ({name}): nobody can tell which ad this click is of.",
            "Publish the ad with the macro spelt so; a preview does not fill it in, nor does a URL that was copied by hand.",
        ),
        "pt": (
            "O Meta não preencheu {macro} ({name}): não se sabe de qual anúncio é este clique.",
            "Publique o anúncio com a macro escrita assim; a prévia não a preenche, nem uma URL copiada à mão.",
        ),
    },
    "macro_unknown": {
        "en": ("Meta has no macro {macro} ({name}): it stays as it is written.", "Meta has: {known}"),
        "pt": ("O Meta não tem a macro {macro} ({name}): fica como está escrita.", "O Meta tem: {known}"),
    },
    "macro_foreign": {
        "en": (
            "{macro} ({name}) is a macro of another network: Meta does not fill it in.",
            "Write Meta's: {known}",
        ),
        "pt": (
            "{macro} ({name}) é macro de outra rede: o Meta não a preenche.",
            "Escreva a do Meta: {known}",
        ),
    },
    "macro_encoded": {
        "en": (
            "The braces of {name} are percent-encoded: Meta looks for {{{{…}}}}.",
            "Write the braces as they are.",
        ),
        "pt": (
            "As chaves de {name} estão codificadas: o Meta procura {{{{…}}}}.",
            "Escreva as chaves como são.",
        ),
    },
    "no_campaign": {
        "en": ("utm_campaign is missing: clicks belong to no campaign.", "Add utm_campaign={known}"),
        "pt": (
            "Falta utm_campaign: os cliques não são de nenhuma campanha.",
            "Acrescente utm_campaign={known}",
        ),
    },
    "no_campaign_id": {
        "en": (
            "No parameter has the campaign's id: its name may change, and then it counts as another.",
            "Add utm_id={known}",
        ),
        "pt": (
            "Nenhum parâmetro tem o id da campanha: o nome pode mudar, e aí conta como outra.",
            "Acrescente utm_id={known}",
        ),
    },
    "no_ad": {
        "en": ("utm_content is missing: you cannot tell the ads apart.", "Add utm_content={known}"),
        "pt": ("Falta utm_content: não dá para distinguir os anúncios.", "Acrescente utm_content={known}"),
    },
    "no_ad_id": {
        "en": (
            "utm_content has no id of the ad: its name may change, and then it counts as another.",
            "Add {known} to it.",
        ),
        "pt": (
            "utm_content não tem o id do anúncio: o nome pode mudar, e aí conta como outro.",
            "Acrescente {known}.",
        ),
    },
    "fbclid_in_template": {
        "en": (
            "It has an fbclid: that is of one click, and every visitor would look like that one.",
            "Take it out. Meta adds one to each click.",
        ),
        "pt": (
            "Tem um fbclid: ele é de um só clique, e todo visitante pareceria ser aquele.",
            "Tire. O Meta acrescenta um a cada clique.",
        ),
    },
    "start_in_template": {
        "en": ("It has {name}=: Trilha makes the start parameter itself.", "Take it out."),
        "pt": ("Tem {name}=: o próprio Trilha faz o parâmetro de início.", "Tire."),
    },
    "twice": {
        "en": ("{name} stands there {times} times: the first counts.", "Take the others out."),
        "pt": ("{name} aparece {times} vezes: vale o primeiro.", "Tire os outros."),
    },
    "no_value": {
        "en": ("{name} has no value.", "Give it one, or take it out."),
        "pt": ("{name} não tem valor.", "Dê um valor, ou tire."),
    },
    "placeholder": {
        "en": (
            "{name} is “{value}”: some program had no value and wrote that.",
            "Give it a value, or take it out.",
        ),
        "pt": (
            "{name} é “{value}”: algum programa não tinha valor e escreveu isso.",
            "Dê um valor, ou tire.",
        ),
    },
    "too_long": {
        "en": ("{name} has {length} characters: {limit} are kept.", "Shorten it."),
        "pt": ("{name} tem {length} caracteres: {limit} são guardados.", "Encurte."),
    },
    "name_too_long": {
        "en": ("The name {name} has more than {limit} characters: it is not kept.", "Shorten the name."),
        "pt": ("O nome {name} tem mais de {limit} caracteres: não é guardado.", "Encurte o nome."),
    },
    "too_many": {
        "en": ("There are {count} parameters: the first {limit} are kept.", "Take out what you do not need."),
        "pt": ("Há {count} parâmetros: os primeiros {limit} são guardados.", "Tire o que não precisa."),
    },
    "not_kept": {
        "en": ("{name} is not kept with a click.", "Use a utm_ parameter if you need it in reports."),
        "pt": (
            "{name} não é guardado com o clique.",
            "Use um parâmetro utm_ se precisar dele nos relatórios.",
        ),
    },
}
