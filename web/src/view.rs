//! What the latent room shows, as an address names it.

use std::fmt::{self, Display};

use hrm_core::reason::lab::Origin;

/// What lies under the tracks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Ground {
    /// Nothing.
    #[default]
    None,
    /// E, with arrows.
    Landscape,
    /// The ends that take the points.
    Basins,
}

/// Visitors that an address may name.
const MOST_VISITS: usize = 16;
/// Standard deviation of the noise of runs that begin elsewhere.
pub const NOISE: f32 = 1.0;

/// A view of the plane: words between commas, `landscape` or `basins`,
/// `surface`, `held`, and where visitors began: `x:y` on the plane, in
/// hundredths of its unit, or `~seed` with noise.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct LatentView {
    /// What lies under the tracks.
    pub ground: Ground,
    /// Whether the landscape is shown as a surface too.
    pub surface: bool,
    /// Whether the plane stays while the run goes on.
    pub held: bool,
    /// Where visitors began.
    pub visits: Vec<Origin>,
}

impl LatentView {
    /// Reads a view; words that are not understood are ignored.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        let mut view = Self::default();
        for word in text.split(',') {
            match word {
                "landscape" => view.ground = Ground::Landscape,
                "basins" => view.ground = Ground::Basins,
                "surface" => view.surface = true,
                "held" => view.held = true,
                _ if view.visits.len() < MOST_VISITS => view.visits.extend(origin(word)),
                _ => {}
            }
        }
        view
    }
}

impl Display for LatentView {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ground = match self.ground {
            Ground::None => None,
            Ground::Landscape => Some("landscape"),
            Ground::Basins => Some("basins"),
        };
        let words = ground
            .into_iter()
            .chain(self.surface.then_some("surface"))
            .chain(self.held.then_some("held"))
            .map(str::to_owned);
        let visits = self.visits.iter().map(|origin| match origin {
            Origin::Point(point) => {
                let [x, y] = point.map(hundredths);
                format!("{x}:{y}")
            }
            Origin::Noise(_, seed) => format!("~{seed}"),
        });
        let words: Vec<String> = words.chain(visits).collect();
        f.write_str(&words.join(","))
    }
}

fn origin(word: &str) -> Option<Origin> {
    if let Some(seed) = word.strip_prefix('~') {
        return Some(Origin::Noise(NOISE, seed.parse().ok()?));
    }
    let (x, y) = word.split_once(':')?;
    let (x, y): (i32, i32) = (x.parse().ok()?, y.parse().ok()?);
    Some(Origin::Point([x, y].map(|x| x as f32 / 100.0)))
}

fn hundredths(x: f32) -> i32 {
    (100.0 * x).round() as i32
}

/// The nearest point that an address can name.
#[must_use]
pub fn nameable(point: [f32; 2]) -> [f32; 2] {
    point.map(|x| hundredths(x) as f32 / 100.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn views_round_trip() {
        let view = LatentView {
            ground: Ground::Basins,
            surface: true,
            held: true,
            visits: vec![Origin::Point([1.25, -3.5]), Origin::Noise(NOISE, 7)],
        };
        assert_eq!(view.to_string(), "basins,surface,held,125:-350,~7");
        assert_eq!(LatentView::parse(&view.to_string()), view);
        assert_eq!(LatentView::default().to_string(), "");
        assert_eq!(nameable([1.254, -3.5001]), [1.25, -3.5]);
    }

    #[test]
    fn what_is_not_understood_is_ignored() {
        let view = LatentView::parse("landscape,x,1:,:2,~,~x,NaN:1,1.5:0,1:2:3");
        assert_eq!(view.ground, Ground::Landscape);
        assert_eq!(view.visits, []);
        assert_eq!(
            LatentView::parse(&"~1,".repeat(99)).visits.len(),
            MOST_VISITS
        );
    }
}
