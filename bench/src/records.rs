//! Messages as APIs send them: records in JSON, no two alike.

use std::fmt::Write;

/// So many messages of this length each. The same ones each time.
pub fn messages(len: usize, count: usize) -> Vec<Vec<u8>> {
    let mut dice = Dice(0x2545_F491_4F6C_DD1D);
    let mut id = 70_000;
    (0..count).map(|_| message(len, &mut dice, &mut id)).collect()
}

/// Records until the length is reached; the last one is cut.
fn message(len: usize, dice: &mut Dice, id: &mut u64) -> Vec<u8> {
    let mut text = String::with_capacity(len + 512);
    text.push('[');
    while text.len() < len {
        *id += 1 + dice.below(3);
        record(&mut text, *id, dice);
        text.push(',');
    }
    // ASCII, so this is no place within a character.
    text.truncate(len);
    text.into_bytes()
}

fn record(text: &mut String, id: u64, dice: &mut Dice) {
    const NAMES: [&str; 12] = [
        "ada", "bela", "chen", "dmitri", "emre", "fatima", "gwen", "hiroshi", "ines", "jomo", "kavya", "lars",
    ];
    const WORDS: [&str; 16] = [
        "order", "shipped", "pending", "harbour", "violet", "copper", "return", "window", "battery",
        "quarter", "northern", "sample", "invoice", "meadow", "signal", "thread",
    ];
    let name = *dice.pick(&NAMES);
    let _ = write!(
        text,
        r#"{{"id":{id},"user":"{name}{}","active":{},"score":{}.{:02},"time":"2026-11-{:02}T{:02}:{:02}:{:02}Z","tags":["{}","{}"],"note":""#,
        dice.below(1000),
        dice.below(2) == 0,
        dice.below(1000),
        dice.below(100),
        1 + dice.below(30),
        dice.below(24),
        dice.below(60),
        dice.below(60),
        dice.pick(&WORDS),
        dice.pick(&WORDS),
    );
    for _ in 0..3 + dice.below(6) {
        let _ = write!(text, "{} ", dice.pick(&WORDS));
    }
    let _ = write!(text, r#"","token":"{:016x}"}}"#, dice.roll());
}

/// xorshift64*.
struct Dice(u64);

impl Dice {
    fn roll(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D)
    }

    fn below(&mut self, bound: u64) -> u64 {
        ((self.roll() >> 32) * bound) >> 32
    }

    fn pick<'a, T>(&mut self, from: &'a [T]) -> &'a T {
        let index = self.below(u64::try_from(from.len()).unwrap_or(u64::MAX));
        &from[usize::try_from(index).unwrap_or(0)]
    }
}
