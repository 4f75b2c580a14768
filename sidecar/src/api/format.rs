//! In which form and language an answer is wanted (RFC 9110, sections 12.5.1 and 12.5.4).

use axum::http::{HeaderMap, header};

use crate::report::Language;

/// The best of `offered` by the `accept` headers; the first one, if they name none. Of equal
/// weight the one that is offered first.
pub(super) fn accepted<F: Copy>(headers: &HeaderMap, offered: &[(&'static str, F)]) -> Option<F> {
    let mut best: Option<(u32, F)> = None;
    for (media_type, format) in offered {
        let weight = weight(headers, media_type);
        if weight > 0 && best.is_none_or(|(of_best, _)| weight > of_best) {
            best = Some((weight, *format));
        }
    }
    best.or(offered.first().map(|(_, format)| (0, *format)))
        .map(|(_, format)| format)
}

/// In thousandths; a range that names the type itself counts before one with `*`.
fn weight(headers: &HeaderMap, media_type: &str) -> u32 {
    let values = headers.get_all(header::ACCEPT).iter();
    let ranges = values.filter_map(|value| value.to_str().ok());
    let mut found: Option<(u8, u32)> = None;
    for range in ranges.flat_map(|value| value.split(',')) {
        let mut parts = range.split(';').map(str::trim);
        let name = parts.next().unwrap_or_default();
        let precision = match name.split_once('/') {
            Some(("*", "*")) => 0,
            Some((kind, "*")) if media_type.starts_with(&format!("{kind}/")) => 1,
            _ if name.eq_ignore_ascii_case(media_type) => 2,
            _ => continue,
        };
        let quality = parts.find_map(|part| part.strip_prefix("q="));
        let quality = quality.and_then(|text| text.parse::<f32>().ok());
        let weight = thousandths(quality.unwrap_or(1.0));
        if found.is_none_or(|(of_found, _)| precision >= of_found) {
            found = Some((precision, weight));
        }
    }
    found.map_or(0, |(_, weight)| weight)
}

/// The language that `accept-language` wants most; English, if it names none that there is.
pub(super) fn language(headers: &HeaderMap) -> Language {
    let values = headers.get_all(header::ACCEPT_LANGUAGE).iter();
    let ranges = values.filter_map(|value| value.to_str().ok());
    let mut best: Option<(u32, Language)> = None;
    for range in ranges.flat_map(|value| value.split(',')) {
        let mut parts = range.split(';').map(str::trim);
        let known = parts.next().and_then(Language::of);
        let quality = parts.find_map(|part| part.strip_prefix("q="));
        let quality = quality.and_then(|text| text.parse::<f32>().ok());
        let weight = thousandths(quality.unwrap_or(1.0));
        if let Some(known) = known
            && weight > 0
            && best.is_none_or(|(of_best, _)| weight > of_best)
        {
            best = Some((weight, known));
        }
    }
    best.map_or_else(Language::default, |(_, language)| language)
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "between 0 and 1000"
)]
fn thousandths(quality: f32) -> u32 {
    (quality.clamp(0.0, 1.0) * 1000.0) as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_form_is_the_one_that_is_wanted_most() {
        let offered = [
            ("application/json", 'j'),
            ("text/csv", 'c'),
            ("text/html", 'h'),
        ];
        for (accept, wanted) in [
            ("", 'j'),
            ("*/*", 'j'),
            ("text/csv", 'c'),
            ("text/html,application/xml;q=0.9,*/*;q=0.8", 'h'),
            ("application/json;q=0.5, text/csv", 'c'),
            ("text/*", 'c'),
            ("text/csv;q=0, */*", 'j'),
            ("image/png", 'j'),
            ("nonsense;;,", 'j'),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(header::ACCEPT, accept.parse().unwrap());
            assert_eq!(accepted(&headers, &offered), Some(wanted), "{accept}");
        }
    }

    #[test]
    fn the_language_is_the_one_that_is_wanted_most() {
        for (wanted, tag) in [
            ("", "en"),
            ("ja", "ja"),
            ("ja-JP,ja;q=0.9,en-US;q=0.8,en;q=0.7", "ja"),
            ("fr, en;q=0.3, ja;q=0.5", "ja"),
            ("en, ja", "en"),
            ("ja;q=0", "en"),
            ("fr", "en"),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(header::ACCEPT_LANGUAGE, wanted.parse().unwrap());
            assert_eq!(language(&headers).tag(), tag, "{wanted}");
        }
    }
}
