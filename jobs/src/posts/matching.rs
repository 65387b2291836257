//! Finds the posts of an account that may be ours.

use crate::{
    engine::{Candidate, Likeness, Remote, SentWindow},
    posts::text::canonical,
    providers::{Pictures, ShownPost},
};

/// The known facts about a post that was sent.
#[derive(Debug, Clone)]
pub(super) struct Wanted<'a> {
    /// Its text.
    pub(super) caption: &'a str,
    /// The ids of the pictures that were staged for it.
    pub(super) staged: &'a [String],
    /// True if the post has a picture.
    pub(super) has_picture: bool,
}

/// The certainty of a match; only the best matches count.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Fit {
    /// Everything that the network shows matches, but it does not show everything.
    InPart,
    /// The app matches too.
    ByApp,
    /// The post has our pictures, which no other post has.
    Certain,
}

/// Returns the posts that match best, in their order.
pub(super) fn candidates(posts: Vec<ShownPost>, window: &SentWindow, wanted: &Wanted<'_>) -> Vec<Candidate> {
    let text = canonical(wanted.caption);
    // If the network shows the pictures of other posts, a post without any has none.
    let shows_pictures = posts.iter().any(|post| post.pictures != Pictures::NotShown);
    let pictures = |post: &ShownPost| {
        let has_none = shows_pictures && post.pictures == Pictures::NotShown;
        if has_none { Pictures::None } else { post.pictures.clone() }
    };
    let fits = |post: ShownPost| Some((fit(&post, &pictures(&post), window, wanted, &text)?, post));
    let fitting: Vec<(Fit, ShownPost)> = posts.into_iter().filter_map(fits).collect();
    let Some(best) = fitting.iter().map(|(fit, _)| *fit).max() else {
        return Vec::new();
    };
    let best_ones = fitting.into_iter().filter(|(fit, _)| *fit == best);
    best_ones
        .map(|(fit, post)| Candidate {
            remote: Remote { id: post.id, permalink: post.permalink },
            likeness: match fit {
                Fit::Certain => Likeness::Certain,
                Fit::ByApp => Likeness::Alike,
                Fit::InPart => Likeness::Doubtful,
            },
        })
        .collect()
}

/// Marks posts without shown pictures as unproven: another picture may have had the same text.
pub(super) fn unproven(found: Vec<Candidate>) -> Vec<Candidate> {
    let less = |candidate: Candidate| match candidate.likeness {
        Likeness::Alike => Candidate { likeness: Likeness::Unproven, ..candidate },
        Likeness::Certain | Likeness::Unproven | Likeness::Doubtful => candidate,
    };
    found.into_iter().map(less).collect()
}

fn fit(post: &ShownPost, pictures: &Pictures, window: &SentWindow, wanted: &Wanted<'_>, text: &str) -> Option<Fit> {
    match pictures {
        Pictures::Named(ids) if !wanted.staged.is_empty() => {
            return wanted.staged.iter().all(|id| ids.contains(id)).then_some(Fit::Certain);
        }
        Pictures::None if !wanted.staged.is_empty() => return None,
        Pictures::Named(_) | Pictures::Unnamed if !wanted.has_picture => return None,
        Pictures::Named(_) | Pictures::Unnamed | Pictures::None | Pictures::NotShown => {}
    }
    let is_other = post.is_by_account == Some(false) || post.is_by_our_app == Some(false);
    let is_in_time = post.created_at.is_none_or(|time| window.has(time));
    if is_other || !is_in_time || canonical(post.text.as_deref().unwrap_or_default()) != text {
        return None;
    }
    Some(if post.is_by_our_app == Some(true) { Fit::ByApp } else { Fit::InPart })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(posts: Vec<ShownPost>, staged: &[&str]) -> Vec<(String, Likeness)> {
        let window =
            SentWindow { from: "2026-11-26T12:00:00Z".parse().unwrap(), to: "2026-11-26T12:10:00Z".parse().unwrap() };
        let staged: Vec<String> = staged.iter().map(|&id| id.to_owned()).collect();
        let has_picture = !staged.is_empty();
        let wanted = Wanted { caption: "Two  for one", staged: &staged, has_picture };
        let found = candidates(posts, &window, &wanted);
        found.into_iter().map(|candidate| (candidate.remote.id, candidate.likeness)).collect()
    }

    fn post(id: &str) -> ShownPost {
        ShownPost {
            id: id.to_owned(),
            text: Some("Two for one".to_owned()),
            created_at: Some("2026-11-26T12:00:05Z".parse().unwrap()),
            permalink: None,
            is_by_account: Some(true),
            is_by_our_app: Some(true),
            pictures: Pictures::None,
        }
    }

    fn pictured(id: &str, pictures: &[&str]) -> ShownPost {
        ShownPost { pictures: Pictures::Named(pictures.iter().map(|&id| id.to_owned()).collect()), ..post(id) }
    }

    #[test]
    fn a_text_is_ours_by_author_app_time_and_text() {
        assert_eq!(found(vec![post("1")], &[]), [("1".to_owned(), Likeness::Alike)]);
        for other in [
            ShownPost { text: Some("Three for two".to_owned()), ..post("1") },
            ShownPost { text: None, ..post("1") },
            ShownPost { created_at: Some("2026-11-26T11:59:00Z".parse().unwrap()), ..post("1") },
            ShownPost { created_at: Some("2026-11-26T12:11:00Z".parse().unwrap()), ..post("1") },
            ShownPost { is_by_account: Some(false), ..post("1") },
            ShownPost { is_by_our_app: Some(false), ..post("1") },
            pictured("1", &["5"]),
        ] {
            assert_eq!(found(vec![other.clone()], &[]), [], "{other:?}");
        }
    }

    #[test]
    fn what_is_not_shown_makes_doubtful_and_what_is_shown_counts_more() {
        let hidden = ShownPost { is_by_account: None, is_by_our_app: None, ..post("1") };
        assert_eq!(found(vec![hidden.clone()], &[]), [("1".to_owned(), Likeness::Doubtful)]);
        assert_eq!(found(vec![hidden, post("2")], &[]), [("2".to_owned(), Likeness::Alike)]);
    }

    #[test]
    fn a_post_with_our_pictures_is_ours_and_one_with_others_is_not() {
        let posts = vec![pictured("1", &["4"]), pictured("2", &["5"]), post("3")];
        assert_eq!(found(posts.clone(), &["5"]), [("2".to_owned(), Likeness::Certain)]);
        assert_eq!(found(posts, &["6"]), []);
        assert_eq!(found(vec![pictured("1", &["5"])], &["5", "6"]), [], "one of two is not enough");
        let bare = ShownPost { pictures: Pictures::NotShown, ..post("1") };
        assert_eq!(found(vec![bare.clone()], &["5"]), [("1".to_owned(), Likeness::Alike)], "nothing of that is shown");
        assert_eq!(found(vec![bare, pictured("2", &["4"])], &["5"]), [], "others' are shown");
        let unnamed = ShownPost { pictures: Pictures::Unnamed, ..post("1") };
        assert_eq!(found(vec![unnamed], &["5"]), [("1".to_owned(), Likeness::Alike)], "all that is shown");
    }
}
