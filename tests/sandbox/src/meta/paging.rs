//! Pagination: lists in pages, with cursors and the address of the next page.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use url::form_urlencoded::Serializer;

use crate::meta::call::Call;
use crate::meta::error::GraphError;

const DEFAULT_LIMIT: usize = 25;
/// The parameter with the position in a list without cursors.
const TOKEN: &str = "__paging_token";

/// A position in a list whose items are in the order of their keys.
#[derive(Debug, Clone, Copy)]
enum Cursor {
    /// The position after the item with this key.
    Item(u64),
    /// The empty page after the item with this key.
    Gap(u64),
}

/// One page of a list.
#[derive(Debug)]
pub(crate) struct PageOfList<T> {
    items: Vec<T>,
    before: Option<Cursor>,
    after: Option<Cursor>,
    has_next: bool,
}

impl Cursor {
    fn encode(self) -> String {
        URL_SAFE_NO_PAD.encode(match self {
            Self::Item(key) => format!("i{key}"),
            Self::Gap(key) => format!("g{key}"),
        })
    }

    fn decode(text: &str) -> Option<Self> {
        let text = String::from_utf8(URL_SAFE_NO_PAD.decode(text).ok()?).ok()?;
        let (kind, key) = text.split_at_checked(1)?;
        match kind {
            "i" => Some(Self::Item(key.parse().ok()?)),
            "g" => Some(Self::Gap(key.parse().ok()?)),
            _ => None,
        }
    }
}

/// Returns the page that a call requests. Keys are above 0 and ascend. A page has at most `most`
/// items.
///
/// With `empty_middle` the first page has half of the items, and an empty one follows it.
pub(crate) fn pick<T>(
    call: &Call,
    items: Vec<(u64, T)>,
    most: usize,
    empty_middle: bool,
) -> Result<PageOfList<T>, GraphError> {
    let mut limit = limit(call)?.min(most);
    let cursor = match call.params.get("after").or(call.params.get(TOKEN)) {
        Some(text) => Some(Cursor::decode(text).ok_or_else(|| GraphError::invalid("Invalid cursors values."))?),
        None => None,
    };
    let start = match cursor {
        None => 0,
        Some(Cursor::Item(key)) => key,
        Some(Cursor::Gap(key)) => {
            let after = Some(Cursor::Item(key));
            return Ok(PageOfList { items: Vec::new(), before: after, after, has_next: true });
        }
    };
    let gap = empty_middle && cursor.is_none();
    if gap {
        limit = limit.min(items.len() / 2);
    }
    let rest: Vec<(u64, T)> = items.into_iter().skip_while(|(key, _)| *key <= start).collect();
    let has_next = rest.len() > limit;
    let page: Vec<(u64, T)> = rest.into_iter().take(limit).collect();
    let last = page.last().map_or(start, |(key, _)| *key);
    let after = if gap && has_next { Cursor::Gap(last) } else { Cursor::Item(last) };
    let first = page.first().map(|(key, _)| Cursor::Item(*key));
    let items: Vec<T> = page.into_iter().map(|(_, item)| item).collect();
    let after = (has_next || !items.is_empty()).then_some(after);
    Ok(PageOfList { before: first.or(after), after, items, has_next })
}

impl<T> PageOfList<T> {
    /// Returns the response: the items as `view` shows them, and the link to the next page.
    pub(crate) fn answer(
        self,
        call: &Call,
        view: impl FnMut(T) -> Result<Value, GraphError>,
    ) -> Result<Value, GraphError> {
        let data = self.items.into_iter().map(view).collect::<Result<Vec<_>, _>>()?;
        let mut answer = json!({"data": data});
        if let (Some(before), Some(after)) = (self.before, self.after) {
            answer["paging"] = json!({"cursors": {"before": before.encode(), "after": after.encode()}});
            if self.has_next {
                answer["paging"]["next"] = next_address(call, &[("after", &after.encode())]).into();
            }
        }
        Ok(answer)
    }

    /// Returns the response of a feed without cursors. It has only the address of the next page,
    /// with the time of the page's last item in `until`. A page without items keeps the `until` of
    /// its call.
    pub(crate) fn answer_without_cursors(
        self,
        call: &Call,
        second: impl Fn(&T) -> i64,
        view: impl FnMut(T) -> Result<Value, GraphError>,
    ) -> Result<Value, GraphError> {
        let until = self.items.last().map(|item| second(item).to_string());
        let until = until.or_else(|| call.params.get("until").map(str::to_owned));
        let data = self.items.into_iter().map(view).collect::<Result<Vec<_>, _>>()?;
        let mut answer = json!({"data": data});
        if let Some(after) = self.after.filter(|_| self.has_next) {
            let token = after.encode();
            let until = until.as_deref().map(|until| ("until", until));
            let params: Vec<(&str, &str)> = until.into_iter().chain([(TOKEN, token.as_str())]).collect();
            answer["paging"] = json!({"next": next_address(call, &params)});
        }
        Ok(answer)
    }
}

/// Returns the next page's address. It contains the token but not the proof: callers have to add
/// that themselves, as with the provider.
fn next_address(call: &Call, place: &[(&str, &str)]) -> String {
    let mut query = Serializer::new(String::new());
    query.append_pair("access_token", call.access_token().unwrap_or_default());
    for (name, value) in call.params.query() {
        let replaced = place.iter().any(|(replaced, _)| replaced == name);
        if !replaced && !matches!(name.as_str(), "access_token" | "appsecret_proof" | "after" | TOKEN) {
            query.append_pair(name, value);
        }
    }
    query.extend_pairs(place);
    format!("{}/graph/{}/{}?{}", call.base_url, call.version, call.path.join("/"), query.finish())
}

fn limit(call: &Call) -> Result<usize, GraphError> {
    match call.params.get("limit").map(str::parse) {
        None => Ok(DEFAULT_LIMIT),
        Some(Ok(limit)) if limit > 0 => Ok(limit),
        Some(_) => Err(GraphError::invalid("Param limit must be a positive integer")),
    }
}
