//! The few pages that browsers see.

/// A page with one message. Neither is escaped: both are ours.
pub(crate) fn message(title: &'static str, words: &'static str) -> String {
    format!(
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><title>{title} - Linecook</title>\
         <meta name=\"viewport\" content=\"width=device-width\"><meta name=\"referrer\" content=\"no-referrer\">\
         <style>body{{font:18px/1.5 system-ui,sans-serif;max-width:32rem;margin:20vh auto;padding:0 1rem;color:#222}}\
         h1{{font-size:1.5rem}}</style></head><body><main><h1>{title}</h1><p>{words}</p></main></body></html>"
    )
}
