//! Sequences that once failed.

use super::Clients;
use super::Op::*;
use super::{Op, database, hold};

/// What was left of random operations, reduced, that failed on builds with one line of the cache taken
/// out, which the comment names; the last one was thought out.
#[test]
fn every_sequence_that_ever_failed_holds() {
    let sequences: &[(Clients, &[Op])] = &[
        // A forgotten episode in the feed drops the entry.
        (
            Clients::Two,
            &[
                Save { who: 1, n: 4, complete: false },
                Get { who: 0, n: 4 },
                Forget { who: 1, n: 4 },
                Recollect { who: 0 },
            ],
        ),
        // So does a version that is not held: of an episode, and of the knowledge that there is none.
        (
            Clients::Two,
            &[
                Save { who: 0, n: 4, complete: false },
                Save { who: 1, n: 4, complete: false },
                Get { who: 0, n: 4 },
            ],
        ),
        (
            Clients::Two,
            &[
                Append { who: 0, n: 2 },
                Get { who: 1, n: 2 },
                Save { who: 0, n: 2, complete: false },
                Recollect { who: 1 },
            ],
        ),
        // The file lets go of what memory lets go of.
        (
            Clients::Two,
            &[
                SaveOnAnOldVersion { who: 1, n: 4 },
                List { who: 1 },
                List { who: 0 },
                Save { who: 0, n: 4, complete: false },
                Save { who: 0, n: 4, complete: false },
                Recollect { who: 1 },
            ],
        ),
        // After the feed was read, what was found before is looked at again.
        (
            Clients::Two,
            &[
                GetAll { who: 0 },
                Append { who: 0, n: 2 },
                Save { who: 1, n: 1, complete: true },
                GetAll { who: 0 },
            ],
        ),
        // A kept answer ends with the state that it was given in.
        (
            Clients::Two,
            &[
                Append { who: 0, n: 3 },
                List { who: 0 },
                DamageAndReopen { who: 1, at: 53_973 },
                Save { who: 1, n: 3, complete: false },
                List { who: 0 },
            ],
        ),
        // With no watermark to go on from, nothing that was held counts.
        (
            Clients::Two,
            &[
                Outage { on: true },
                Append { who: 0, n: 3 },
                DamageAndReopen { who: 0, at: 13_257 },
                Outage { on: false },
                Save { who: 1, n: 1, complete: false },
                Save { who: 0, n: 4, complete: false },
                GetAll { who: 1 },
                Append { who: 0, n: 4 },
                Get { who: 1, n: 4 },
            ],
        ),
        // A write whose answer is lost may have been applied.
        (
            Clients::One,
            &[
                Save { who: 0, n: 1, complete: false },
                NextWrite { fails: 2 },
                Save { who: 0, n: 1, complete: true },
                Get { who: 0, n: 1 },
                NextWrite { fails: 2 },
                Forget { who: 0, n: 1 },
                Get { who: 0, n: 1 },
            ],
        ),
    ];
    let (_dir, runtime, store) = database();
    for (clients, ops) in sequences {
        hold(&runtime, &store, *clients, ops).unwrap();
    }
    // Damage to the table of free pages once ended the process: the library panicked while it
    // cleaned up after a panic.
    let fill = |n| Save { who: 0, n, complete: true };
    for at in (0..u16::MAX).step_by(1_301) {
        let damage = DamageAndReopen { who: 0, at };
        let ops =
            [fill(0), fill(1), fill(2), damage, GetAll { who: 0 }, fill(0), GetAll { who: 0 }];
        hold(&runtime, &store, Clients::Two, &ops).unwrap();
    }
}
