//! Which of the states that a cut may leave are looked at, and each of them once.

use std::collections::{HashMap, HashSet};

use super::disk::{Disk, Reached, Tree};

/// The states to look at: all of them, or so many as a seed chooses.
#[derive(Clone, Copy)]
pub(super) enum Scope {
    All,
    Some { states: usize, seed: u64 },
}

impl Scope {
    /// So many, or as many as the long run says: `CDONTS_STATES`.
    pub(super) fn some(states: usize) -> Self {
        let wanted = std::env::var("CDONTS_STATES").ok();
        let states = wanted.map_or(states, |wanted| wanted.parse().unwrap());
        Self::Some {
            states,
            seed: 20_261_127,
        }
    }
}

/// Shows each different state once; how many there were.
pub(super) fn each_state(disk: &Disk, scope: Scope, mut check: impl FnMut(usize, &Tree)) -> usize {
    let mut seen = HashSet::new();
    let mut show = |step: usize, tree: &Tree| {
        // What was told belongs to the state: the same tree may be right before and wrong after.
        if seen.insert((tree.digest(), disk.told(step).count())) {
            check(step, tree);
        }
        seen.len()
    };
    match scope {
        Scope::All => {
            let mut count = 0;
            for step in 0..=disk.steps() {
                count = each_at(disk, step, &mut show);
            }
            count
        }
        Scope::Some { states, seed } => {
            let mut random = fastrand::Rng::with_seed(seed);
            let mut count = 0;
            // Where fewer states exist than are asked for, this ends all the same.
            for _ in 0..states * 40 {
                let step = random.usize(0..=disk.steps());
                // Each share of what is lost is as likely as any other, so that both ends of it,
                // where most is lost or hardly anything, are looked at as well.
                let share = random.f64();
                let kept: HashSet<_> = disk
                    .pending(step)
                    .into_iter()
                    .filter(|_| random.f64() < share)
                    .collect();
                let mut fork = random.fork();
                let reached: HashMap<_, _> = disk
                    .dirty(step)
                    .into_iter()
                    .map(|id| (id, Reached::EACH[fork.usize(0..3)]))
                    .collect();
                let bytes = |id| reached.get(&id).copied().unwrap_or(Reached::All);
                count = show(
                    step,
                    &disk.tree(step, |change| kept.contains(&change), bytes),
                );
                if count >= states {
                    break;
                }
            }
            count
        }
    }
}

fn each_at(disk: &Disk, step: usize, show: &mut impl FnMut(usize, &Tree) -> usize) -> usize {
    let (pending, dirty) = (disk.pending(step), disk.dirty(step));
    assert!(
        pending.len() < 20,
        "{} changes wait for a sync",
        pending.len()
    );
    let forms = Reached::EACH.len().pow(u32::try_from(dirty.len()).unwrap());
    let mut count = 0;
    for kept in 0_u32..1 << pending.len() {
        for form in 0..forms {
            let names = |change| {
                let place = pending.iter().position(|one| *one == change);
                place.is_some_and(|place| kept & 1 << place != 0)
            };
            let bytes = |id| match dirty.iter().position(|one| *one == id) {
                Some(place) => Reached::EACH[form / 3_usize.pow(u32::try_from(place).unwrap()) % 3],
                None => Reached::All,
            };
            count = show(step, &disk.tree(step, names, bytes));
        }
    }
    count
}
