//! Putting text over pictures.

mod overlay;
mod render_overlay;

pub use overlay::{Overlay, Position};
pub use render_overlay::RenderOverlay;
