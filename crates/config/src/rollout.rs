//! `[gateways.rollout]`: which release a gateway's clients get.

use meridian_model::{Rollout, Share, Track, Trial};

use crate::findings::{Findings, Spotted};
use crate::issue::any_of;
use crate::kinds::{At, Choice, Portion, Section};
use crate::reader::Table;

/// The release an endpoint runs.
pub(crate) const TRACK: Choice<Track> = Choice(&[
    ("stable", Track::Stable),
    ("canary", Track::Canary),
    ("blue", Track::Blue),
    ("green", Track::Green),
]);

/// A rollout as written.
#[derive(Default)]
pub(crate) struct RolloutSpec {
    live: Option<Spotted<Track>>,
    track: Option<Spotted<Track>>,
    share: Option<Share>,
}

/// Reads `rollout` of a gateway.
pub(crate) fn read(table: &mut Table<'_>) -> RolloutSpec {
    let rollout = Section { header: "[gateways.rollout]", read: read_rollout };
    table.or("rollout", RolloutSpec::default(), &rollout)
}

fn read_rollout(table: &mut Table<'_>) -> RolloutSpec {
    table.needs("track", "percent", "the percent of the clients that get the track");
    table.needs("percent", "track", "the track that the percent of the clients get");
    let live = table.optional("live", &At(TRACK));
    let track = table.optional("track", &At(TRACK));
    RolloutSpec {
        // Beside a live track that cannot be read nobody knows which others can be on trial.
        track: track.filter(|_| live.is_some() || !table.has("live")),
        live,
        share: table.optional("percent", &Portion { whole: 100.0, what: "a number of percent" }),
    }
}

/// Builds a rollout over the tracks of a gateway's endpoints, of which `None` could not be read.
pub(crate) fn build(spec: RolloutSpec, tracks: &[Option<Track>], findings: &Findings<'_>) -> Rollout {
    let RolloutSpec { live, track, share } = spec;
    // A track that could not be read may be the one that is meant.
    if let Some(tracks) = tracks.iter().copied().collect::<Option<Vec<Track>>>() {
        let named = [&live, &track].into_iter().flatten();
        let known: Vec<&Spotted<Track>> =
            named.filter(|named| check_present(named, &tracks, findings)).collect();
        let default = default_live(&tracks);
        let live = live.as_ref().map_or(default, |live| Some(live.value));
        if let Some(track) = &track
            && known.iter().any(|named| named.value == track.value)
            && live == Some(track.value)
        {
            let expected = "another track than the live one, which all other clients get";
            findings.mistake(&track.spot, expected, format_args!("{:?}", track.value.as_str()));
        }
    }
    let trial = track.zip(share).map(|(track, share)| Trial { track: track.value, share });
    Rollout { live: live.map(|live| live.value), trial }
}

/// Reports a track that no endpoint has: its clients would get nothing.
fn check_present(named: &Spotted<Track>, tracks: &[Track], findings: &Findings<'_>) -> bool {
    let present = tracks.contains(&named.value);
    if !present {
        let mut words: Vec<&str> = tracks.iter().map(|track| track.as_str()).collect();
        words.sort_unstable();
        words.dedup();
        let expected = format_args!("a track that an endpoint of this gateway has ({})", any_of(&words));
        findings.mistake(&named.spot, expected, format_args!("{:?}", named.value.as_str()));
    }
    present
}

/// The live track where none is written: as [`Rollout::live`] says.
fn default_live(tracks: &[Track]) -> Option<Track> {
    let preferred = [Track::Stable, Track::Blue].into_iter().find(|track| tracks.contains(track));
    preferred.or_else(|| tracks.first().copied())
}
