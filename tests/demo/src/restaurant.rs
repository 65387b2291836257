//! The two restaurants.

use uuid::Uuid;

use crate::{
    sandbox::Picture,
    views::{Account, Post},
};

/// A restaurant's fixed data: the business, and its person with a Page at Facebook.
#[derive(Debug)]
pub(crate) struct Profile {
    pub(crate) name: &'static str,
    pub(crate) email: &'static str,
    pub(crate) person: &'static str,
    pub(crate) person_id: &'static str,
    pub(crate) page_id: &'static str,
    /// The brief of the month's posts.
    pub(crate) brief: &'static str,
    /// The function that draws the photo.
    pub(crate) photo: fn() -> anyhow::Result<Vec<u8>>,
    pub(crate) photo_name: &'static str,
    /// The texts written over the photo, each with its position.
    pub(crate) overlays: [(&'static str, &'static str); 3],
    /// The start of its pictures' file names.
    pub(crate) file_stem: &'static str,
}

/// The restaurants of the demo.
pub(crate) static PROFILES: [Profile; 2] = [
    Profile {
        name: "Krusty Pizza",
        email: "owner@krusty-pizza.example",
        person: "Tony Marino",
        person_id: "10220000000000021",
        page_id: "10158250000000201",
        brief: "Winter menu, family evenings, pizza from the wood oven",
        photo: crate::photo::pizza,
        photo_name: "pizza.jpg",
        overlays: [
            ("Pizza night, every Friday", "bottom"),
            ("Fresh from the wood oven at six", "top"),
            ("Two for one on Tuesdays: bring the family", "bottom"),
        ],
        file_stem: "krusty-pizza",
    },
    Profile {
        name: "Hults Cafe",
        email: "owner@hults-cafe.example",
        person: "Karin Hult",
        person_id: "10220000000000022",
        page_id: "10158250000000202",
        brief: "Slow mornings, good coffee, winter baking",
        photo: crate::photo::coffee,
        photo_name: "coffee.jpg",
        overlays: [
            ("The morning starts here", "bottom"),
            ("Smörgås & flat white until noon", "top"),
            ("Cinnamon buns at ten", "bottom"),
        ],
        file_stem: "hults-cafe",
    },
];

/// A restaurant after its month was written.
#[derive(Debug)]
pub(crate) struct Restaurant {
    pub(crate) profile: &'static Profile,
    pub(crate) tenant_id: Uuid,
    pub(crate) account: Account,
    pub(crate) rendered: Vec<Rendered>,
    /// The posts of its month, in order.
    pub(crate) posts: Vec<Post>,
}

/// A rendered picture.
#[derive(Debug)]
pub(crate) struct Rendered {
    pub(crate) asset_id: Uuid,
    /// The photo under the text.
    pub(crate) source_id: Uuid,
    /// The picture that Facebook should receive.
    pub(crate) picture: Picture,
    pub(crate) path: std::path::PathBuf,
}

impl Restaurant {
    /// Returns the picture of the post at this place of the month.
    pub(crate) fn picture_for(&self, at: usize) -> &Rendered {
        &self.rendered[at % self.rendered.len()]
    }
}
