//! Texts that a restaurant might post.

use crate::openai::prompt::Hints;

const OPENINGS: [&str; 8] = [
    "Fresh from our kitchen today:",
    "The table is set for",
    "Our chef has been up since dawn for",
    "Nothing warms a long evening like",
    "Friends, wine and",
    "We have been waiting all season for",
    "Come hungry for",
    "Made slowly and served simply:",
];
const ENDINGS: [&str; 8] = [
    "Book your table for tonight!",
    "Bring someone you love to share it with.",
    "We open at six, and the oven is already hot.",
    "Tell us in the comments who comes along.",
    "Only while the market has it.",
    "The first glass of house wine is on us.",
    "See you at the counter.",
    "Leave room for dessert.",
];
const TOPICS: [&str; 8] = [
    "handmade tagliatelle",
    "wood-fired pizza",
    "tomato and basil bruschetta",
    "slow-cooked ragù",
    "seafood risotto",
    "tiramisu from scratch",
    "Sunday brunch",
    "a tasting menu from the market",
];
const HASHTAGS: [&str; 8] =
    ["#foodie", "#homemade", "#eatlocal", "#dinnertime", "#chefspecial", "#freshfood", "#restaurant", "#tastethis"];
const PHRASES: [&str; 6] = [
    "from our kitchen",
    "at the chef's table",
    "straight from the market",
    "on a quiet evening",
    "with friends",
    "for the weekend",
];

/// Returns a caption: two sentences and `hashtags` hashtags. `number` selects the words: 512 in a
/// row differ.
pub(crate) fn caption(hints: &Hints, number: u64, hashtags: u64) -> String {
    let topic = hints.topic.as_deref().unwrap_or_else(|| pick(&TOPICS, number / 3));
    let place = hints.business.as_ref().map(|name| format!(" at {name}")).unwrap_or_default();
    let tags: Vec<String> = (0..hashtags).map(|at| hashtag(number / 64 + at, at / HASHTAGS.len() as u64)).collect();
    let (opening, ending) = (pick(&OPENINGS, number), pick(&ENDINGS, number / 8));
    format!("{opening} {topic}{place}. {ending} {}", tags.join(" ")).trim_end().to_owned()
}

/// Returns a few words that could be a title.
pub(crate) fn topic(hints: &Hints, number: u64) -> String {
    match &hints.topic {
        Some(topic) => format!("{topic} {}", pick(&PHRASES, number)),
        None => format!("{} {}", pick(&TOPICS, number), pick(&PHRASES, number / 8)),
    }
}

/// Returns one hashtag; `round` distinguishes those with the same word.
pub(crate) fn hashtag(number: u64, round: u64) -> String {
    let word = pick(&HASHTAGS, number);
    if round == 0 { word.to_owned() } else { format!("{word}{round}") }
}

fn pick<'a>(words: &[&'a str], number: u64) -> &'a str {
    let at = number % words.len() as u64;
    words.get(usize::try_from(at).unwrap_or_default()).copied().unwrap_or_default()
}
