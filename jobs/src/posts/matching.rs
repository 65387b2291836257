//! Which of the posts that a Page shows may be ours.

use crate::{
    engine::{Candidate, Likeness, Remote, SentWindow},
    posts::text::canonical,
    providers::meta::{PagePost, Pictures, Thing},
};

/// What is known of a post that was sent.
#[derive(Debug, Clone)]
pub(super) struct Wanted<'a> {
    /// Its text.
    pub(super) caption: &'a str,
    /// The Page in whose name it was sent.
    pub(super) page_id: &'a str,
    /// The app that sent it.
    pub(super) app_id: &'a str,
    /// The ids of the pictures that were staged for it.
    pub(super) staged: &'a [String],
    /// It was to have a picture.
    pub(super) has_picture: bool,
}

/// How well a post fits: the better ones count.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Fit {
    /// In all that the network shows, which is not all.
    InPart,
    /// In the app, too.
    ByApp,
    /// It has our pictures, and nobody else's post has.
    Certain,
}

/// The posts that fit best, in their order.
pub(super) fn candidates(posts: Vec<PagePost>, window: &SentWindow, wanted: &Wanted<'_>) -> Vec<Candidate> {
    let text = canonical(wanted.caption);
    // Where pictures of others are shown, a post without any has none.
    let shows_pictures = posts.iter().any(|post| post.pictures() != Pictures::NotShown);
    let pictures = |post: &PagePost| match post.pictures() {
        Pictures::NotShown if shows_pictures => Pictures::None,
        pictures => pictures,
    };
    let fits = |post: PagePost| Some((fit(&post, pictures(&post), window, wanted, &text)?, post));
    let fitting: Vec<(Fit, PagePost)> = posts.into_iter().filter_map(fits).collect();
    let Some(best) = fitting.iter().map(|(fit, _)| *fit).max() else {
        return Vec::new();
    };
    let best_ones = fitting.into_iter().filter(|(fit, _)| *fit == best);
    best_ones
        .map(|(fit, post)| Candidate {
            remote: Remote { id: post.id, permalink: post.permalink_url },
            likeness: match fit {
                Fit::Certain => Likeness::Certain,
                Fit::ByApp => Likeness::Alike,
                Fit::InPart => Likeness::Doubtful,
            },
        })
        .collect()
}

/// Posts whose pictures are not shown: an equal text may have come with another picture.
pub(super) fn unproven(found: Vec<Candidate>) -> Vec<Candidate> {
    let less = |candidate: Candidate| match candidate.likeness {
        Likeness::Alike => Candidate { likeness: Likeness::Unproven, ..candidate },
        Likeness::Certain | Likeness::Unproven | Likeness::Doubtful => candidate,
    };
    found.into_iter().map(less).collect()
}

fn fit(post: &PagePost, pictures: Pictures, window: &SentWindow, wanted: &Wanted<'_>, text: &str) -> Option<Fit> {
    match pictures {
        Pictures::Named(ids) if !wanted.staged.is_empty() => {
            return wanted.staged.iter().all(|id| ids.contains(id)).then_some(Fit::Certain);
        }
        Pictures::None if !wanted.staged.is_empty() => return None,
        Pictures::Named(_) | Pictures::Unnamed if !wanted.has_picture => return None,
        Pictures::Named(_) | Pictures::Unnamed | Pictures::None | Pictures::NotShown => {}
    }
    let is_by = |thing: &Option<Thing>, id: &str| thing.as_ref()?.id.as_ref().map(|shown| shown == id);
    let (author, app) = (is_by(&post.from, wanted.page_id), is_by(&post.application, wanted.app_id));
    let is_other = author == Some(false) || app == Some(false);
    let is_in_time = post.created_time.is_none_or(|time| window.has(time));
    if is_other || !is_in_time || canonical(post.message.as_deref().unwrap_or_default()) != text {
        return None;
    }
    Some(if app == Some(true) { Fit::ByApp } else { Fit::InPart })
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    const PAGE: &str = "100";
    const APP: &str = "7";

    fn found(posts: Value, staged: &[&str]) -> Vec<(String, Likeness)> {
        let window =
            SentWindow { from: "2026-11-26T12:00:00Z".parse().unwrap(), to: "2026-11-26T12:10:00Z".parse().unwrap() };
        let staged: Vec<String> = staged.iter().map(|&id| id.to_owned()).collect();
        let has_picture = !staged.is_empty();
        let wanted = Wanted { caption: "Two  for one", page_id: PAGE, app_id: APP, staged: &staged, has_picture };
        let posts: Vec<PagePost> = serde_json::from_value(posts).unwrap();
        let found = candidates(posts, &window, &wanted);
        found.into_iter().map(|candidate| (candidate.remote.id, candidate.likeness)).collect()
    }

    fn post(id: &str, change: &[(&str, Value)]) -> Value {
        let mut post = json!({
            "id": id, "message": "Two for one", "created_time": "2026-11-26T12:00:05+0000",
            "from": { "id": PAGE }, "application": { "id": APP },
        });
        for (name, value) in change {
            post[*name] = value.clone();
        }
        post
    }

    fn pictured(id: &str, pictures: &[&str]) -> Value {
        let all: Vec<Value> =
            pictures.iter().map(|id| json!({ "media_type": "photo", "target": { "id": id } })).collect();
        post(id, &[("attachments", json!({ "data": all }))])
    }

    #[test]
    fn a_text_is_ours_by_author_app_time_and_text() {
        assert_eq!(found(json!([post("1", &[])]), &[]), [("1".to_owned(), Likeness::Alike)]);
        for change in [
            ("message", json!("Three for two")),
            ("message", Value::Null),
            ("created_time", json!("2026-11-26T11:59:00+0000")),
            ("created_time", json!("2026-11-26T12:11:00+0000")),
            ("from", json!({ "id": "101" })),
            ("application", json!({ "id": "8" })),
            ("attachments", json!({ "data": [{ "media_type": "photo", "target": { "id": "5" } }] })),
        ] {
            assert_eq!(found(json!([post("1", std::slice::from_ref(&change))]), &[]), [], "{change:?}");
        }
    }

    #[test]
    fn what_is_not_shown_makes_doubtful_and_what_is_shown_counts_more() {
        let hidden = post("1", &[("application", Value::Null), ("from", json!({ "name": "Page" }))]);
        assert_eq!(found(json!([hidden]), &[]), [("1".to_owned(), Likeness::Doubtful)]);
        assert_eq!(found(json!([hidden, post("2", &[])]), &[]), [("2".to_owned(), Likeness::Alike)]);
    }

    #[test]
    fn a_post_with_our_pictures_is_ours_and_one_with_others_is_not() {
        let posts = json!([pictured("1", &["4"]), pictured("2", &["5"]), post("3", &[])]);
        assert_eq!(found(posts.clone(), &["5"]), [("2".to_owned(), Likeness::Certain)]);
        assert_eq!(found(posts, &["6"]), []);
        assert_eq!(found(json!([pictured("1", &["5"])]), &["5", "6"]), [], "one of two is not enough");
        assert_eq!(found(json!([post("1", &[])]), &["5"]), [("1".to_owned(), Likeness::Alike)], "none is shown at all");
        let unnamed = post("1", &[("attachments", json!({ "data": [{ "media_type": "photo" }] }))]);
        assert_eq!(found(json!([unnamed]), &["5"]), [("1".to_owned(), Likeness::Alike)], "all that is shown");
    }
}
