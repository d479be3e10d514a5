//! Markdown.

use std::fmt::{self, Write};

use crate::measurements::{Measurements, Samples, Table};
use crate::statistics::{Estimate, median, ratio};

/// How far from a baseline is worth a line.
const FAR: f64 = 1.3;

/// So many of those that are ahead in a cell are named below a table. All are in it.
const NAMED: usize = 3;

/// How each family went.
pub fn summary(measurements: &Measurements) -> String {
    let mut out =
        String::from("| | metric | cells | ahead of every peer | not, by at most |\n|---|---|--:|--:|--:|\n");
    for family in measurements.families() {
        for table in &family.tables {
            for ours in table.ours() {
                let cells: Vec<Cell<'_>> = cells(table, ours).collect();
                let worst = cells.iter().flat_map(|cell| &cell.lost).map(|it| it.1.median);
                let worst = worst.max_by(f64::total_cmp).map_or("–".into(), |by| format!("{by:.2} ×"));
                let won = cells.iter().filter(|cell| cell.lost.is_empty()).count();
                let name = if table.ours().count() > 1 { format!(": {ours}") } else { String::new() };
                let all = cells.len();
                writeln!(out, "| {}{name} | {} | {all} | {won} | {worst} |", family.name, table.metric)
                    .unwrap();
            }
        }
    }
    out
}

/// A table, and below it where we are behind.
pub fn markdown(table: &Table) -> String {
    let mut out = String::new();
    write(&mut out, table).unwrap();
    out
}

fn write(out: &mut String, table: &Table) -> fmt::Result {
    let direction = if table.more_is_better() { "; more is better" } else { "" };
    writeln!(out, "**{}**{direction}; in brackets compared to the fastest peer\n", table.metric)?;
    // Of many surfaces, side by side, nobody could read the rows.
    if table.ours().count() > 1 {
        write_rows(out, table)?
    } else {
        write_columns(out, table)?
    }
    for (index, note) in table.notes.iter().enumerate() {
        writeln!(out, "\n{}) {}", index + 1, note.text)?;
    }
    for ours in table.ours() {
        write_lost(out, table, ours)?;
    }
    Ok(())
}

/// A row for each cell.
fn write_columns(out: &mut String, table: &Table) -> fmt::Result {
    let mut heads = vec![String::new()];
    for ours in table.ours() {
        heads.push(ours.into());
        heads.extend(comparisons(table));
    }
    heads.extend(table.baselines().chain(table.peers()).map(String::from));
    head(out, &heads)?;
    for cell in &table.cells {
        write!(out, "| {cell}")?;
        for ours in table.ours() {
            write!(out, " | {}", our_value(table, cell, ours))?;
            for ratio in ratios(table, cell, ours) {
                write!(out, " | {ratio}")?;
            }
        }
        for other in table.baselines().chain(table.peers()) {
            write!(out, " | {}", other_value(table, cell, other))?;
        }
        writeln!(out, " |")?;
    }
    Ok(())
}

/// A row for each contestant, and then one for each of our surfaces and what it is compared to.
fn write_rows(out: &mut String, table: &Table) -> fmt::Result {
    let heads: Vec<String> = std::iter::once(String::new()).chain(table.cells.iter().cloned()).collect();
    head(out, &heads)?;
    for ours in table.ours() {
        let values = table.cells.iter().map(|cell| our_value(table, cell, ours));
        row(out, ours, values)?;
    }
    for other in table.baselines().chain(table.peers()) {
        let values = table.cells.iter().map(|cell| other_value(table, cell, other));
        row(out, other, values)?;
    }
    writeln!(out)?;
    head(out, &heads)?;
    for (index, comparison) in comparisons(table).iter().enumerate() {
        for ours in table.ours() {
            let values = table.cells.iter().map(|cell| ratios(table, cell, ours).swap_remove(index));
            row(out, &format!("{ours} {comparison}"), values)?;
        }
    }
    Ok(())
}

fn head(out: &mut String, heads: &[String]) -> fmt::Result {
    writeln!(out, "| {} |\n|---|{}", heads.join(" | "), "--:|".repeat(heads.len() - 1))
}

fn row(out: &mut String, name: &str, values: impl Iterator<Item = String>) -> fmt::Result {
    writeln!(out, "| {name} | {} |", values.collect::<Vec<_>>().join(" | "))
}

/// What ours are compared to.
fn comparisons(table: &Table) -> Vec<String> {
    let fastest = table.peers().next().map(|_| "÷ fastest peer".to_owned());
    fastest.into_iter().chain(table.baselines().map(|baseline| format!("÷ {baseline}"))).collect()
}

/// Those of a cell, in the order of [`comparisons`].
fn ratios(table: &Table, cell: &str, ours: &str) -> Vec<String> {
    let samples = table.samples(cell, ours);
    let fastest = table.peers().next().map(|_| fastest(table, cell));
    let others = table.baselines().map(|baseline| table.samples(cell, baseline));
    let ratios = fastest.into_iter().chain(others);
    let ratios = ratios.map(|other| samples.zip(other).and_then(|(ours, other)| ratio(ours, other)));
    ratios.map(|ratio| ratio.map_or("–".into(), show)).collect()
}

/// In bold if no peer is ahead.
fn our_value(table: &Table, cell: &str, ours: &str) -> String {
    let is_won = table.samples(cell, ours).is_some()
        && fastest(table, cell).is_some()
        && self::cell(table, cell, ours).lost.is_empty();
    let mark = if is_won { "**" } else { "" };
    format!("{mark}{}{mark}", value(table, cell, ours))
}

fn other_value(table: &Table, cell: &str, other: &str) -> String {
    let value = value(table, cell, other);
    let samples = table.samples(cell, other).zip(fastest(table, cell));
    match samples.and_then(|(samples, fastest)| ratio(samples, fastest)) {
        Some(ratio) => format!("{value} ({:.2})", ratio.median),
        None => value,
    }
}

fn write_lost(out: &mut String, table: &Table, ours: &str) -> fmt::Result {
    let cells: Vec<Cell<'_>> = cells(table, ours).collect();
    if table.peers().next().is_some() {
        writeln!(
            out,
            "\nNot won by {ours}:{}\n",
            if cells.iter().all(|cell| cell.lost.is_empty()) { " none." } else { "" }
        )?;
        for cell in cells.iter().filter(|cell| !cell.lost.is_empty()) {
            let mut by: Vec<String> = Vec::new();
            for (peer, ratio) in cell.lost.iter().take(NAMED) {
                // 1 may be the true ratio.
                let is_unsure = ratio.interval.is_some_and(|(low, _)| low <= 1.0);
                let unsure = if is_unsure { ", not for sure" } else { "" };
                by.push(format!("{} × {peer}{unsure}", show(*ratio)));
            }
            if cell.lost.len() > NAMED {
                by.push(format!("{} more by less", cell.lost.len() - NAMED));
            }
            writeln!(out, "- {}: {}", cell.name, by.join("; "))?;
        }
    }
    for baseline in table.baselines() {
        let far: Vec<String> = cells
            .iter()
            .filter_map(|cell| Some((cell.name, behind(table, cell.name, ours, baseline)?)))
            .filter(|(_, by)| by.median > FAR)
            .map(|(cell, by)| format!("{cell} ({:.2})", by.median))
            .collect();
        if !far.is_empty() {
            writeln!(out, "\nMore than {FAR} × {baseline} by {ours}: {}.", far.join(", "))?;
        }
    }
    Ok(())
}

/// A cell of ours.
struct Cell<'t> {
    name: &'t str,
    /// Peers that are ahead, and by how much, the farthest first.
    lost: Vec<(&'t str, Estimate)>,
}

fn cells<'t>(table: &'t Table, ours: &'t str) -> impl Iterator<Item = Cell<'t>> {
    let is_there = |cell: &&String| table.samples(cell, ours).is_some();
    table.cells.iter().filter(is_there).map(|name| cell(table, name, ours))
}

fn cell<'t>(table: &'t Table, name: &'t str, ours: &str) -> Cell<'t> {
    let mut lost: Vec<(&str, Estimate)> = table
        .peers()
        .filter_map(|peer| Some((peer, behind(table, name, ours, peer)?)))
        .filter(|(_, by)| by.median > 1.0)
        .collect();
    lost.sort_by(|a, b| b.1.median.total_cmp(&a.1.median));
    Cell { name, lost }
}

/// How many times as dear as the other we are.
fn behind(table: &Table, cell: &str, ours: &str, other: &str) -> Option<Estimate> {
    let (ours, other) = (table.samples(cell, ours)?, table.samples(cell, other)?);
    if table.more_is_better() { ratio(other, ours) } else { ratio(ours, other) }
}

fn fastest<'t>(table: &'t Table, cell: &str) -> Option<&'t Samples> {
    let cost = |samples: &&Samples| if table.more_is_better() { -median(samples) } else { median(samples) };
    table.peers().filter_map(|peer| table.samples(cell, peer)).min_by(|a, b| cost(a).total_cmp(&cost(b)))
}

/// A median, or a dash.
fn value(table: &Table, cell: &str, contestant: &str) -> String {
    match (table.samples(cell, contestant), table.note_at(cell, contestant)) {
        (Some(samples), _) => number(median(samples)),
        (None, Some(note)) => format!("– {})", note + 1),
        (None, None) => "–".into(),
    }
}

fn show(ratio: Estimate) -> String {
    match ratio.interval {
        Some((low, high)) => format!("{:.2} [{low:.2}, {high:.2}]", ratio.median),
        None => format!("{:.2}", ratio.median),
    }
}

/// With three digits that count, or all before the point, in groups.
fn number(value: f64) -> String {
    if value < 99.95 {
        return format!("{value:.*}", usize::from(value < 9.995) + 1);
    }
    let digits = format!("{value:.0}");
    let mut out = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn measured(csv: &str) -> Measurements {
        let mut measurements = Measurements::default();
        measurements.parse(format!("family,cell,contestant,metric,round,value\n{csv}").as_bytes()).unwrap();
        measurements
    }

    fn shown(csv: &str) -> String {
        markdown(&measured(csv).families()[0].tables[0])
    }

    #[test]
    fn what_is_ahead_of_every_peer_is_bold_and_what_is_not_is_listed() {
        let shown = shown(
            "f,16 B,limit,ns,0,8\nf,16 B,sansocket,ns,0,20\nf,16 B,a 1.0,ns,0,40\nf,16 B,b 2.0,ns,0,30\n\
             f,1 KiB,limit,ns,0,50\nf,1 KiB,sansocket,ns,0,60\nf,1 KiB,a 1.0,ns,0,40\nf,1 KiB,b 2.0,ns,0,90\n",
        );
        assert!(
            shown.contains("| 16 B | **20.0** | 0.67 | 2.50 | 8.00 (0.27) | 40.0 (1.33) | 30.0 (1.00) |"),
            "{shown}"
        );
        assert!(
            shown.contains("| 1 KiB | 60.0 | 1.50 | 1.20 | 50.0 (1.25) | 40.0 (1.00) | 90.0 (2.25) |"),
            "{shown}"
        );
        assert!(shown.contains("Not won by sansocket:\n\n- 1 KiB: 1.50 × a 1.0\n"), "{shown}");
        assert!(shown.contains("More than 1.3 × limit by sansocket: 16 B (2.50)."), "{shown}");
    }

    #[test]
    fn of_rates_more_is_better() {
        let shown = shown("f,c,sansocket,messages/s,0,200\nf,c,a,messages/s,0,100\nf,c,b,messages/s,0,400\n");
        assert!(shown.contains("| c | 200 | 0.50 | 100 (0.25) | 400 (1.00) |"), "{shown}");
        assert!(shown.contains("- c: 2.00 × b\n"), "{shown}");
    }

    #[test]
    fn what_is_by_the_second_is_a_rate_and_what_is_by_the_byte_a_cost() {
        let shown = shown("f,c,sansocket,ns/B,0,200\nf,c,a,ns/B,0,100\n");
        assert!(!shown.contains("more is better"), "{shown}");
        assert!(shown.contains("- c: 2.00 × a\n"), "{shown}");
    }

    #[test]
    fn of_several_surfaces_each_has_a_row_and_another_of_ratios() {
        let shown = shown(
            "f,c,sansocket,ns,0,20\nf,c,sansocket feed,ns,0,50\nf,c,raw,ns,0,10\nf,c,a,ns,0,40\n\
             f,d,sansocket,ns,0,30\nf,d,raw,ns,0,30\nf,d,a,ns,0,60\n",
        );
        for row in [
            "| sansocket | **20.0** | **30.0** |",
            "| sansocket feed | 50.0 | – |",
            "| raw | 10.0 (0.25) | 30.0 (0.50) |",
            "| a | 40.0 (1.00) | 60.0 (1.00) |",
            "| sansocket ÷ fastest peer | 0.50 | 0.50 |",
            "| sansocket feed ÷ fastest peer | 1.25 | – |",
            "| sansocket ÷ raw | 2.00 | 1.00 |",
        ] {
            assert!(shown.contains(row), "{shown}");
        }
    }

    #[test]
    fn the_three_that_are_farthest_ahead_are_named() {
        let shown = shown(
            "f,c,sansocket,ns,0,20\nf,c,a,ns,0,10\nf,c,b,ns,0,5\nf,c,d,ns,0,4\nf,c,e,ns,0,16\nf,c,g,ns,0,15\n",
        );
        assert!(shown.contains("- c: 5.00 × d; 4.00 × b; 2.00 × a; 2 more by less\n"), "{shown}");
    }

    #[test]
    fn a_lead_that_the_rounds_disagree_on_is_not_for_sure() {
        let rounds =
            (0..6).map(|round| format!("f,c,sansocket,ns,{round},10\nf,c,a,ns,{round},{}\n", 7 + round));
        let shown = shown(&rounds.collect::<String>());
        assert!(shown.contains("- c: 1.06 [0.83, 1.43] × a, not for sure\n"), "{shown}");
    }

    #[test]
    fn who_cannot_do_a_cell_has_a_dash_and_a_footnote() {
        let shown =
            shown("f,c,sansocket,ns,0,1\nf,c,a,ns,0,2\nf,,b,note,0,has no text\nf,d,sansocket,ns,0,1\n");
        assert!(shown.contains("| c | **1.00** | 0.50 | 2.00 (1.00) | – 1) |"), "{shown}");
        assert!(shown.contains("| d | 1.00 | – | – | – 1) |"), "{shown}");
        assert!(shown.contains("\n1) has no text\n"), "{shown}");
    }

    #[test]
    fn numbers_have_three_digits_or_all_before_the_point() {
        let shown = [0.5, 9.994, 9.996, 99.94, 99.96, 999.4, 1000.0, 1234567.0].map(number);
        assert_eq!(shown, ["0.50", "9.99", "10.0", "99.9", "100", "999", "1,000", "1,234,567"]);
    }
}
