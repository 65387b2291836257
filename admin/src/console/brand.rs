//! A workspace's colour on its pages: a stylesheet of its own address, as pages have no style
//! attributes.

use jobs::{engine::Scope, ids::TenantId, tenants::settings};
use palette::{FromColor as _, Oklch, Srgb, color_difference::Wcag21RelativeContrast as _};
use poem::{
    Request, Response, Result, handler,
    http::{StatusCode, header},
    web::{Data, Path},
};
use uuid::Uuid;

use crate::{ApiError, auth::Caller, state::AppState};

/// The address, as the router has it.
pub(super) const PATH: &str = "/brand/:tenant/:version";

/// The least contrast between a text and what is behind it: WCAG 2.2, level AA.
const LEAST_CONTRAST: f32 = 4.5;

/// The backgrounds in both schemes on which texts are hardest to read: `--sunk` in `app.css`.
const DARKEST_OF_LIGHT: Srgb<u8> = Srgb::new(0xec, 0xe8, 0xe1);
const LIGHTEST_OF_DARK: Srgb<u8> = Srgb::new(0x2a, 0x26, 0x23);

/// The steps from black to white in which a colour is shifted.
const STEPS: u8 = 100;

/// Returns the address of a workspace's stylesheet. Another colour has another address.
pub(super) fn address(tenant_id: TenantId, colour: &str) -> String {
    format!("/brand/{tenant_id}/{}.css", colour.trim_start_matches('#'))
}

/// Serves a workspace's stylesheet.
#[handler]
pub(super) async fn show(
    Data(state): Data<&AppState>,
    request: &Request,
    Path((tenant, version)): Path<(String, String)>,
) -> Result<Response> {
    let caller = Caller::of(request).ok_or_else(ApiError::unauthorized)?;
    let tenant: Uuid = tenant.parse().map_err(|_| ApiError::not_found("tenant"))?;
    let tenant_id = caller.tenant(tenant)?;
    let mut tx = state.db.read(Scope::Tenant(tenant_id)).await.map_err(ApiError::from)?;
    let settings = settings::get(&mut tx, tenant_id).await.map_err(ApiError::from)?;
    let colour = settings.primary_color.ok_or_else(|| ApiError::not_found("colour"))?;
    let is_current = version.strip_suffix(".css") == Some(colour.trim_start_matches('#'));
    let life = if is_current { "private, max-age=31536000, immutable" } else { "no-cache" };
    let response = Response::builder().status(StatusCode::OK).content_type("text/css; charset=utf-8");
    Ok(response.header(header::CACHE_CONTROL, life).body(stylesheet(&colour)))
}

fn stylesheet(colour: &str) -> String {
    let Ok(colour) = colour.parse::<Srgb<u8>>() else { return String::new() };
    let (light, dark) = (readable(colour, DARKEST_OF_LIGHT), readable(colour, LIGHTEST_OF_DARK));
    format!(":root {{ --accent: light-dark(#{light:x}, #{dark:x}); }}\n")
}

/// Returns the nearest colour of the same hue that is readable: lighter on a dark background,
/// darker on a light one.
fn readable(colour: Srgb<u8>, background: Srgb<u8>) -> Srgb<u8> {
    let (colour, background) = (colour.into_format::<f32>(), background.into_format::<f32>());
    let own = Oklch::from_color(colour);
    let is_dark = background.relative_luminance().luma < 0.5;
    let end = if is_dark { 1.0 } else { 0.0 };
    let shifted = (0..=STEPS).map(|step| {
        let part = f32::from(step) / f32::from(STEPS);
        // Black and white have no hue.
        let chroma = if step == STEPS { 0.0 } else { own.chroma };
        Oklch::new(own.l + (end - own.l) * part, chroma, own.hue)
    });
    let shown = shifted.map(|colour| Srgb::from_color(colour).into_format::<u8>());
    let found =
        shown.into_iter().find(|shown| shown.into_format::<f32>().relative_contrast(background) >= LEAST_CONTRAST);
    found.unwrap_or(if is_dark { Srgb::new(255, 255, 255) } else { Srgb::new(0, 0, 0) })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_readable_colour_stays_and_others_keep_their_hue() {
        assert_eq!(stylesheet("#a83c19"), stylesheet("#A83C19"));
        assert!(stylesheet("#a83c19").contains("light-dark(#a83c19, #"));
        assert!(stylesheet("#84b8ee").contains(", #84b8ee)"));
        let yellow = readable("ffe000".parse().unwrap(), DARKEST_OF_LIGHT);
        assert!(yellow.red > yellow.blue && yellow.green > yellow.blue, "{yellow:?}");
    }

    proptest! {
        #[test]
        fn every_colour_becomes_readable_in_both_schemes(red: u8, green: u8, blue: u8) {
            for background in [DARKEST_OF_LIGHT, LIGHTEST_OF_DARK] {
                let shown = readable(Srgb::new(red, green, blue), background).into_format::<f32>();
                prop_assert!(shown.relative_contrast(background.into_format()) >= LEAST_CONTRAST);
            }
        }
    }
}
