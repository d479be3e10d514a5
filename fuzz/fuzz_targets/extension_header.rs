//! `Sec-WebSocket-Extensions`: what was understood means the same when it is written again.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sansocket::extension::{Offer, offers};

type Plain = (String, Vec<(String, Option<String>)>);

fn plain(offer: Offer<'_>) -> Plain {
    let params =
        offer.params().map(|param| (param.name.to_owned(), param.value.map(|value| value.to_string())));
    (offer.name().to_owned(), params.collect())
}

fn is_token(text: &str) -> bool {
    let separators = b"()<>@,;:\\\"/[]?={} \t";
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic() && !separators.contains(&byte))
}

/// The offers as a header value; with some values in quotes, and an escape in some of those, if `quoted`.
fn write(offers: &[Plain], quoted: bool) -> String {
    let write = |(name, params): &Plain| {
        let params = params.iter().enumerate().map(|(i, (name, value))| match value {
            None => format!("; {name}"),
            Some(value) if quoted && i % 3 == 0 => format!("; {name}=\"{value}\""),
            Some(value) if quoted && i % 3 == 1 => format!("; {name}=\"\\{}\"", value),
            Some(value) => format!("; {name}={value}"),
        });
        format!("{name}{}", params.collect::<String>())
    };
    offers.iter().map(write).collect::<Vec<_>>().join(if quoted { " , ,\t" } else { "," })
}

fuzz_target!(|data: &[u8]| {
    let results: Vec<_> = offers(data).collect();
    let understood: Vec<_> = results.iter().filter_map(|offer| offer.ok().map(plain)).collect();
    assert!(understood.len() + 1 >= results.len(), "something comes behind an error");
    for (name, params) in &understood {
        assert!(is_token(name));
        assert!(
            params.iter().all(|(name, value)| is_token(name) && value.iter().all(|value| is_token(value)))
        );
    }
    for quoted in [false, true] {
        let again: Result<Vec<_>, _> =
            offers(write(&understood, quoted).as_bytes()).map(|offer| offer.map(plain)).collect();
        assert_eq!(again.as_ref(), Ok(&understood));
    }
    // Nothing but names and commas cannot be malformed.
    if data.iter().all(|byte| byte.is_ascii_alphanumeric() || *byte == b',') {
        let names: Vec<_> = data.split(|byte| *byte == b',').filter(|name| !name.is_empty()).collect();
        assert_eq!(understood.iter().map(|(name, _)| name.as_bytes()).collect::<Vec<_>>(), names);
    }
});
