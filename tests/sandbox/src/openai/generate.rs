//! Generates JSON that satisfies a schema: the same for the same prompt.

use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

use crate::faults::Scenario;
use crate::openai::prompt::Hints;
use crate::openai::request::ChatRequest;
use crate::openai::wording;

/// The placeholder for characters that this text type cannot have, until the response is written.
pub(crate) const UNSTORABLE: char = '\u{f8ff}';
const HASHTAGS: u64 = 3;
const TOO_MANY_HASHTAGS: u64 = 31;
/// The number of sentences of an overlong caption: more than any network accepts.
const TOO_MANY_SENTENCES: usize = 3000;
/// The depth where recursion through `$ref` ends. Below it, unions take a variant without another
/// step, and lists are empty.
const DEEPEST: usize = 12;
/// The depth below which every value is `null`, for schemas that only an endless value satisfies.
const BOTTOM: usize = 100;

/// The generator of the reply to one request.
pub(crate) struct Generator {
    root: Value,
    hints: Hints,
    seed: [u8; 32],
    scenario: Option<Scenario>,
}

/// The position of a value in the reply.
#[derive(Debug, Clone)]
struct SchemaPosition {
    /// The path to it, without the item of the outer list.
    path: String,
    /// The nearest property's name.
    name: String,
    /// The index in the outer list, and the list's length.
    item: Option<(usize, usize)>,
    depth: usize,
}

impl SchemaPosition {
    fn step(&self, step: &str) -> Self {
        Self { path: format!("{}/{step}", self.path), depth: self.depth + 1, ..self.clone() }
    }
}

impl Generator {
    /// Creates a generator; `scenario` may spoil its output.
    pub(crate) fn new(request: &ChatRequest, scenario: Option<Scenario>) -> Self {
        let seed = Sha256::digest(request.seed.as_bytes()).into();
        Self { root: Value::Null, hints: Hints::of(request), seed, scenario }
    }

    /// Returns a value for a whole schema.
    pub(crate) fn value(mut self, schema: &Value) -> Value {
        self.root = schema.clone();
        self.fill(schema, &SchemaPosition { path: String::new(), name: String::new(), item: None, depth: 0 })
    }

    /// Returns a caption without a schema.
    pub(crate) fn caption(&self) -> String {
        let place = SchemaPosition { path: "caption".to_owned(), name: String::new(), item: None, depth: 0 };
        self.caption_at(&place)
    }

    fn fill(&self, schema: &Value, place: &SchemaPosition) -> Value {
        if place.depth > BOTTOM {
            return Value::Null;
        }
        if let Some(target) = schema.get("$ref").and_then(Value::as_str) {
            let target = self.root.pointer(target.trim_start_matches('#')).unwrap_or(&Value::Null);
            return self.fill(target, &place.step("ref"));
        }
        if let Some(value) = schema.get("const") {
            return value.clone();
        }
        if let Some(values) = schema.get("enum").and_then(Value::as_array).filter(|values| !values.is_empty()) {
            return values[self.below(place, values.len())].clone();
        }
        if let Some(variants) = schema.get("anyOf").and_then(Value::as_array) {
            return self.fill_variant(variants, place);
        }
        match self.kind(schema, place) {
            "object" => self.object(schema, place),
            "array" => self.array(schema, place),
            "string" => json!(self.text(schema, place)),
            "integer" => json!(self.integer(schema, place)),
            "number" => json!(self.float(schema, place)),
            "boolean" => json!(self.number(place).is_multiple_of(2)),
            _ => Value::Null,
        }
    }

    /// Returns the type to write, also out of a union. A nullable value is null one time in four,
    /// unless it is an essential part of a post.
    fn kind<'a>(&self, schema: &'a Value, place: &SchemaPosition) -> &'a str {
        let types: Vec<&str> = match schema.get("type") {
            Some(Value::Array(types)) => types.iter().filter_map(Value::as_str).collect(),
            Some(one) => one.as_str().into_iter().collect(),
            None if schema.get("properties").is_some() => vec!["object"],
            None => vec!["string"],
        };
        let nullable = types.contains(&"null");
        let solid = types.iter().find(|one| **one != "null");
        match solid {
            Some(solid) if !(nullable && self.prefers_null(place)) => solid,
            Some(_) | None => "null",
        }
    }

    fn fill_variant(&self, variants: &[Value], place: &SchemaPosition) -> Value {
        let is_null = |variant: &&Value| variant.get("type").and_then(Value::as_str) == Some("null");
        let solid: Vec<&Value> = variants.iter().filter(|variant| !is_null(variant)).collect();
        if solid.is_empty() || (solid.len() < variants.len() && self.prefers_null(place)) {
            return Value::Null;
        }
        let flat = |variant: &&&Value| variant.get("$ref").is_none() && variant.get("properties").is_none();
        let flattest = solid.iter().find(flat).filter(|_| place.depth > DEEPEST);
        let chosen = flattest.unwrap_or(&solid[self.below(place, solid.len())]);
        self.fill(chosen, &place.step("of"))
    }

    fn prefers_null(&self, place: &SchemaPosition) -> bool {
        let essential = ["caption", "date", "title", "topic", "theme"].contains(&place.name.as_str());
        place.depth > DEEPEST || (!essential && self.number(place).is_multiple_of(4))
    }

    fn object(&self, schema: &Value, place: &SchemaPosition) -> Value {
        let properties = schema.get("properties").and_then(Value::as_object).into_iter().flatten();
        let members = properties.map(|(name, property)| {
            let place = SchemaPosition { name: name.clone(), ..place.step(name) };
            (name.clone(), self.fill(property, &place))
        });
        Value::Object(members.collect::<Map<_, _>>())
    }

    fn array(&self, schema: &Value, place: &SchemaPosition) -> Value {
        let bound = |name| schema.get(name).and_then(Value::as_u64).and_then(|bound| usize::try_from(bound).ok());
        let (least, most) = (bound("minItems"), bound("maxItems").unwrap_or(usize::MAX));
        let default = if place.item.is_none() { self.hints.items() } else { 3 };
        let mut count = least.unwrap_or(default).min(most);
        if place.item.is_none() && self.scenario == Some(Scenario::WrongCount) {
            count = count.saturating_sub(1);
        }
        if place.depth > DEEPEST {
            count = least.unwrap_or(0);
        }
        let items = schema.get("items").unwrap_or(&Value::Null);
        let fill = |at: usize| {
            let inside = match place.item {
                Some(_) => place.step(&at.to_string()),
                None => SchemaPosition { item: Some((at, count)), ..place.step("items") },
            };
            self.fill(items, &inside)
        };
        Value::Array((0..count).map(fill).collect())
    }

    fn text(&self, schema: &Value, place: &SchemaPosition) -> String {
        let number = self.number(place);
        let (at, count) = place.item.unwrap_or((0, 1));
        let date = self.hints.date(at, count);
        if let Some(format) = schema.get("format").and_then(Value::as_str) {
            return match format {
                "date" => date.to_string(),
                "date-time" => format!("{date}T18:30:00Z"),
                "time" => "18:30:00Z".to_owned(),
                "duration" => "PT1H".to_owned(),
                "email" => "ciao@example.com".to_owned(),
                "hostname" => "example.com".to_owned(),
                "ipv4" => "192.0.2.1".to_owned(),
                "ipv6" => "2001:db8::1".to_owned(),
                "uuid" => format!("00000000-0000-4000-8000-{:012x}", number & 0xffff_ffff_ffff),
                _ => String::new(),
            };
        }
        match place.name.as_str() {
            "caption" => self.caption_at(place),
            "date" => date.to_string(),
            "time" => "18:30".to_owned(),
            "hashtag" | "hashtags" => wording::hashtag(number, 0),
            _ => wording::topic(&self.hints, self.serial(place)),
        }
    }

    fn caption_at(&self, place: &SchemaPosition) -> String {
        let number = self.serial(place);
        let many = self.scenario == Some(Scenario::ManyHashtags);
        let caption = wording::caption(&self.hints, number, if many { TOO_MANY_HASHTAGS } else { HASHTAGS });
        match self.scenario {
            Some(Scenario::LongCaption) => {
                format!("{}{caption}", "A story that goes on. ".repeat(TOO_MANY_SENTENCES))
            }
            Some(Scenario::UnstorableText) => format!("{caption}{UNSTORABLE}"),
            Some(_) | None => caption,
        }
    }

    fn integer(&self, schema: &Value, place: &SchemaPosition) -> i64 {
        let bound = |name: &str| schema.get(name).and_then(Value::as_i64);
        let least = bound("minimum").max(bound("exclusiveMinimum").map(|least| least + 1));
        let most = match (bound("maximum"), bound("exclusiveMaximum").map(|most| most - 1)) {
            (Some(one), Some(other)) => Some(one.min(other)),
            (one, other) => one.or(other),
        };
        let least = least.unwrap_or_else(|| most.map_or(1, |most| most.min(1)));
        let most = most.unwrap_or(least.saturating_add(99));
        let step = bound("multipleOf").filter(|step| *step > 0).unwrap_or(1);
        let lowest = least.div_euclid(step) + i64::from(least.rem_euclid(step) != 0);
        let choices = most.div_euclid(step) - lowest + 1;
        let choices = usize::try_from(choices).unwrap_or(1).max(1);
        (lowest + i64::try_from(self.below(place, choices)).unwrap_or_default()) * step
    }

    /// Returns a number inside the bounds, never on them. It is a multiple if the schema wants one.
    fn float(&self, schema: &Value, place: &SchemaPosition) -> f64 {
        let bound = |name: &str| schema.get(name).and_then(Value::as_f64);
        let least = bound("minimum").or(bound("exclusiveMinimum")).unwrap_or(0.0);
        let most = bound("maximum").or(bound("exclusiveMaximum")).unwrap_or(least + 100.0);
        let share = [0.25, 0.5, 0.75][self.below(place, 3)];
        let number = least + (most - least) * share;
        bound("multipleOf").map_or(number, |step| (number / step).round() * step)
    }

    fn below(&self, place: &SchemaPosition, count: usize) -> usize {
        usize::try_from(self.number(place) % count.max(1) as u64).unwrap_or_default()
    }

    /// Returns a number that depends on the prompt and the position only.
    fn number(&self, place: &SchemaPosition) -> u64 {
        let item = place.item.map_or(String::new(), |(at, _)| at.to_string());
        self.hash(&format!("{}#{item}", place.path))
    }

    /// Returns a number that rises by one with each item of the outer list, so that their texts
    /// differ.
    fn serial(&self, place: &SchemaPosition) -> u64 {
        self.hash(&place.path) + place.item.map_or(0, |(at, _)| at as u64)
    }

    fn hash(&self, text: &str) -> u64 {
        let digest = Sha256::new().chain_update(self.seed).chain_update(text.as_bytes()).finalize();
        let bytes: [u8; 8] = digest[..8].try_into().expect("a digest has 32 bytes");
        u64::from_be_bytes(bytes) >> 8
    }
}
