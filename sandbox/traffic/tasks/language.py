"""The language of a short message: instruction after the slot value. Meant to be easy."""

from jitr.sandbox.traffic.grammar import Facet, Grammar
from jitr.sandbox.traffic.prompt import Prompt
from jitr.sandbox.traffic.task import AnswerForm, SimulatedTask

PROMPT = """{slot_value}

---
In which language is the message above written? Reply with its ISO 639-1 code only."""

LANGUAGES = {
    "en": (
        "could you please [check|confirm|repeat] when the train leaves",
        "[my sister|our neighbour] will bring the keys tomorrow morning",
        "there is no more bread in the kitchen",
        "I have already written to them about the flat",
        "we should meet after work and talk about it",
        "the children would rather stay at home today",
        "nobody knows where the old bicycle went",
        "<name> [says|thinks|hopes] that the shop in <place> [opens|closes] early",
        "please send <amount> photographs of the garden",
        "what a strange evening we had with <name>",
    ),
    "de": (
        "kannst du bitte [prüfen|bestätigen|wiederholen], wann der Zug abfährt",
        "[meine Schwester|unser Nachbar] bringt morgen früh die Schlüssel",
        "in der Küche ist kein Brot mehr",
        "ich habe ihnen wegen der Wohnung schon geschrieben",
        "wir sollten uns nach der Arbeit treffen und darüber reden",
        "die Kinder möchten heute lieber zu Hause bleiben",
        "niemand weiß, wo das alte Fahrrad geblieben ist",
        "<name> [sagt|meint|hofft], dass der Laden in <place> früh [öffnet|schließt]",
        "bitte schick mir <amount> Bilder vom Garten",
        "was für ein seltsamer Abend war das mit <name>",
    ),
    "fr": (
        "peux-tu [vérifier|confirmer|répéter] à quelle heure part le train",
        "[ma sœur|notre voisin] apportera les clés demain matin",
        "il n'y a plus de pain dans la cuisine",
        "je leur ai déjà écrit au sujet de l'appartement",
        "nous devrions nous voir après le travail pour en parler",
        "les enfants préfèrent rester à la maison aujourd'hui",
        "personne ne sait où est passé le vieux vélo",
        "<name> [dit|pense|espère] que le magasin de <place> [ouvre|ferme] tôt",
        "envoie-moi <amount> photos du jardin s'il te plaît",
        "quelle drôle de soirée avec <name>",
    ),
    "es": (
        "puedes [comprobar|confirmar|repetir] a qué hora sale el tren",
        "[mi hermana|nuestro vecino] traerá las llaves mañana por la mañana",
        "ya no queda pan en la cocina",
        "les he escrito sobre el piso",
        "deberíamos vernos después del trabajo y hablar de ello",
        "los niños prefieren quedarse hoy en casa",
        "nadie sabe dónde está la bicicleta vieja",
        "<name> [dice|cree|espera] que la tienda de <place> [abra|cierre] temprano",
        "mándame <amount> fotos del jardín por favor",
        "qué noche tan rara pasamos con <name>",
    ),
    "it": (
        "puoi [controllare|confermare|ripetere] a che ora parte il treno",
        "[mia sorella|il nostro vicino] porterà le chiavi domani mattina",
        "non c'è più pane in cucina",
        "ho già scritto loro per l'appartamento",
        "dovremmo vederci dopo il lavoro e parlarne",
        "i bambini preferiscono restare a casa oggi",
        "nessuno sa dove sia finita la vecchia bicicletta",
        "<name> [dice|pensa|spera] che il negozio di <place> [apra|chiuda] presto",
        "mandami <amount> foto del giardino per favore",
        "che strana serata abbiamo passato con <name>",
    ),
    "nl": (
        "kun je even [nakijken|bevestigen|herhalen] hoe laat de trein vertrekt",
        "[mijn zus|onze buurman] brengt morgenochtend de sleutels",
        "er is geen brood meer in de keuken",
        "ik heb ze al geschreven over het huis",
        "we moeten na het werk afspreken en erover praten",
        "de kinderen blijven vandaag liever thuis",
        "niemand weet waar de oude fiets gebleven is",
        "<name> [zegt|denkt|hoopt] dat de winkel in <place> vroeg [opengaat|sluit]",
        "stuur me alsjeblieft <amount> plaatjes van de tuin",
        "wat een vreemde avond was dat met <name>",
    ),
    "pt": (
        "podes [verificar|confirmar|repetir] a que horas parte o comboio",
        "[a minha irmã|o nosso vizinho] traz as chaves amanhã de manhã",
        "já não há pão na cozinha",
        "já lhes escrevi por causa do apartamento",
        "devíamos encontrar-nos depois do trabalho e falar disso",
        "as crianças preferem ficar hoje em casa",
        "ninguém sabe onde ficou a bicicleta velha",
        "<name> [diz|acha|espera] que a loja em <place> [abra|feche] cedo",
        "manda-me <amount> fotografias do jardim por favor",
        "que noite tão estranha passámos com <name>",
    ),
    "sv": (
        "kan du [kontrollera|bekräfta|upprepa] när tåget går",
        "[min syster|vår granne] tar med nycklarna i morgon bitti",
        "det finns inget bröd kvar i köket",
        "jag har redan skrivit till dem om lägenheten",
        "vi borde träffas efter jobbet och prata om det",
        "barnen vill hellre stanna hemma idag",
        "ingen vet var den gamla cykeln tog vägen",
        "<name> [säger|tror|hoppas] att affären i <place> [öppnar|stänger] tidigt",
        "skicka mig <amount> bilder från trädgården tack",
        "vilken konstig kväll vi hade med <name>",
    ),
}
NAMES = ("<name>!", "<number>", "<place> <number>", "<name>, <name>")


def language() -> SimulatedTask:
    """Short messages in eight languages."""
    return SimulatedTask(
        name="language-id",
        model="gpt-4.1-mini-simulated",
        prompt=Prompt((("user", PROMPT),)),
        grammar=Grammar(
            (Facet("language", LANGUAGES, every_word=True),),
            (("<language>",),),
            NAMES,
            clauses=(0.6, 0.4),
            distraction=0.1,
            dismissed=0.0,
            polite=False,
        ),
        form=AnswerForm("{language}"),
        weight=1.1,
    )
