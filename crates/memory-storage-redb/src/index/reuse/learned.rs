//! What reads teach about what will be read.

/// Classes by uses: 1, 2 to 3, 4 to 7, 8 to 15, more.
const BY_USES: usize = 5;

/// Classes by the time between the last two uses, in reads per entry held: none yet, up to one, up to
/// two, more.
const BY_INTERVAL: usize = 4;

const CLASSES: usize = BY_USES * BY_INTERVAL;

/// Ages are told apart by their binary logarithm; 2^24 reads and more are the same.
const AGES: usize = 24;

/// Reads per entry held between two looks at what was learned, and the least number of reads.
const LEARN_EVERY: u64 = 2;
const LEARN_AFTER: u64 = 200;

/// What earlier observations count for when that many new ones have come.
const DECAY: f64 = 0.98;

/// How many observations of its own a class needs to count as much as what is known of all classes.
const PRIOR: f64 = 2.0;

type Table = [[f64; AGES]; CLASSES];

/// What the policy knows of a key.
#[derive(Debug, Clone, Copy)]
pub(super) struct Past {
    /// The read that was its last.
    pub(super) last: u64,
    uses: u32,
    /// Reads between the last two uses; 0: there was one use only.
    interval: u64,
}

impl Past {
    pub(super) fn first(now: u64) -> Self {
        Past { last: now, uses: 1, interval: 0 }
    }

    fn class(&self, held: usize) -> usize {
        let by_uses = (self.uses.max(1).ilog2() as usize).min(BY_USES - 1);
        let by_interval = match (self.interval, held as u64) {
            (0, _) => 0,
            (interval, held) if interval < held => 1,
            (interval, held) if interval < 2 * held => 2,
            _ => 3,
        };
        by_uses * BY_INTERVAL + by_interval
    }
}

/// For each class and age, how often a key was used again at that age and how often it was given up,
/// and what follows from it: the worth of an entry.
///
/// The worth is the Gittins index of the chance to be asked for again: over every time that the entry
/// could still be kept, the most uses expected per read for which it takes up room. It looks ahead as
/// far as that is worth while, so that an entry that is due keeps its place, and one whose time has
/// passed does not. With reads that are independent given class and age, evicting the lowest index is
/// the best that can be done, up to the last entry's worth.
pub(super) struct Learned {
    again: Box<Table>,
    given_up: Box<Table>,
    worth: Box<Table>,
    next: u64,
}

impl Default for Learned {
    fn default() -> Self {
        let empty = || Box::new([[0.0; AGES]; CLASSES]);
        let mut learned =
            Learned { again: empty(), given_up: empty(), worth: empty(), next: LEARN_AFTER };
        learned.learn();
        learned
    }
}

impl Learned {
    /// A key was used; `held`: how many entries there are.
    pub(super) fn used_again(&mut self, past: &mut Past, now: u64, held: usize) {
        let age = now - past.last;
        note(&mut self.again, past.class(held), age);
        *past = Past { last: now, uses: past.uses.saturating_add(1), interval: age };
    }

    /// A ghost is forgotten.
    pub(super) fn never_again(&mut self, past: &Past, now: u64, held: usize) {
        note(&mut self.given_up, past.class(held), now - past.last);
    }

    /// What an entry is worth now: uses per read for which it is kept. Between the middles of two ages
    /// it changes evenly.
    pub(super) fn worth(&self, past: &Past, now: u64, held: usize) -> f64 {
        let at = ((now - past.last + 1) as f64).log2() - 0.5;
        let age = (at.max(0.0) as usize).min(AGES - 2);
        let part = (at - age as f64).clamp(0.0, 1.0);
        let worth = self.worth.get(past.class(held)).and_then(|ages| ages.get(age..age + 2));
        let Some([younger, older]) = worth else { return 0.0 };
        younger * (1.0 - part) + older * part
    }

    pub(super) fn learn_if_due(&mut self, now: u64, held: usize) {
        if now >= self.next {
            self.learn();
            self.next = now + (held as u64 * LEARN_EVERY).max(LEARN_AFTER);
        }
    }

    fn learn(&mut self) {
        let pooled = |table: &Table, age: usize| table.iter().filter_map(|c| c.get(age)).sum();
        let again: [f64; AGES] = std::array::from_fn(|age| pooled(&self.again, age));
        let given_up: [f64; AGES] = std::array::from_fn(|age| pooled(&self.given_up, age));
        let all: f64 = again.iter().chain(&given_up).sum();
        let own = self.again.iter_mut().zip(self.given_up.iter_mut());
        for ((own_again, own_given_up), worth) in own.zip(self.worth.iter_mut()) {
            // Nothing known: used again at any age, as likely at each.
            let smooth = |own: &[f64; AGES], pooled: &[f64; AGES], unknown: f64| {
                std::array::from_fn(|age| {
                    let [own, pooled] = [own, pooled].map(|t| t.get(age).copied().unwrap_or(0.0));
                    if all > 0.0 { own + pooled * PRIOR / all } else { unknown }
                })
            };
            let class_again = smooth(own_again, &again, 1.0);
            *worth = gittins(&class_again, &smooth(own_given_up, &given_up, 0.0));
            own_again.iter_mut().chain(own_given_up).for_each(|n| *n *= DECAY);
        }
    }
}

fn note(table: &mut Table, class: usize, age: u64) {
    let age = ((age + 1).ilog2() as usize).min(AGES - 1);
    if let Some(n) = table.get_mut(class).and_then(|ages| ages.get_mut(age)) {
        *n += 1.0;
    }
}

/// For each age the most that can be had from there on: uses by uses and room, where whoever is used
/// or given up within an age takes up half of its length.
fn gittins(again: &[f64; AGES], given_up: &[f64; AGES]) -> [f64; AGES] {
    let ends: [f64; AGES] = std::array::from_fn(|age| {
        [again, given_up].iter().filter_map(|table| table.get(age)).sum()
    });
    std::array::from_fn(|from| {
        let mut left: f64 = ends.iter().skip(from).sum();
        let (mut uses, mut room, mut best) = (0.0, 0.0, 0.0_f64);
        for (age, (used, ended)) in again.iter().zip(&ends).enumerate().skip(from) {
            uses += used;
            room += (age as f64).exp2() * (left - ended / 2.0);
            left -= ended;
            if room > 0.0 {
                best = best.max(uses / room);
            }
        }
        best
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Everything of two uses comes back after 100 reads, of one use never.
    fn taught() -> Learned {
        let mut learned = Learned::default();
        for _ in 0..50 {
            let mut twice = Past { last: 0, uses: 2, interval: 10 };
            learned.used_again(&mut twice, 100, 20);
            learned.never_again(&Past::first(0), 1_000, 20);
        }
        learned.learn();
        learned
    }

    #[test]
    fn what_comes_back_is_worth_more_and_most_just_before() {
        let learned = taught();
        let twice = Past { last: 0, uses: 2, interval: 10 };
        let worth = |past: &Past, age| learned.worth(past, age, 20);
        assert!(worth(&twice, 10) > 5.0 * worth(&Past::first(0), 10));
        assert!(worth(&twice, 80) > worth(&twice, 10));
        assert!(worth(&twice, 400) < worth(&twice, 80) / 2.0, "its time has passed");
    }

    #[test]
    fn without_knowledge_age_decides() {
        let learned = Learned::default();
        let worth = |age| learned.worth(&Past::first(0), age, 20);
        for age in [1, 10, 100, 10_000] {
            assert!(worth(age) > worth(age * 3), "{age}");
        }
        assert!(worth(u64::MAX - 1).is_finite());
    }

    #[test]
    fn what_is_learned_fades() {
        let mut learned = taught();
        let twice = Past { last: 0, uses: 2, interval: 10 };
        let before = learned.worth(&twice, 80, 20);
        for _ in 0..100 {
            for _ in 0..5 {
                learned.never_again(&twice, 1_000, 20);
            }
            learned.learn();
        }
        assert!(learned.worth(&twice, 80, 20) < before / 5.0);
    }
}
