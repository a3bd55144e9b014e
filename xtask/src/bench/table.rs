//! The table for the README and the terminal.

use super::goal::Goal;
use super::report::{Comparison, MlpShare, Report, RowReport};
use crate::number_text::{DASH, counted, mib, or_dash, time};
use crate::scale::Scale;
use crate::table::Table;

const HEADS: [&str; 9] =
    ["work", "cfconv", "against", "its time", "ratio", "goal", "reached", "memory", "its memory"];

/// A line for each comparison, or one for a row without any.
pub(crate) fn table(report: &Report) -> Table {
    let mut lines: Vec<_> = report.rows.iter().flat_map(row_lines).collect();
    lines.extend(report.mlp_share.as_ref().map(share_line));
    Table::new(HEADS, lines)
}

fn row_lines(row: &RowReport) -> Vec<Vec<String>> {
    let line = |comparison: Option<&Comparison>| {
        let cell = |text: fn(&Comparison) -> Option<String>| or_dash(comparison.and_then(text));
        vec![
            row.label.clone(),
            time(row.ours.median_s),
            cell(|c| Some(c.against.clone())),
            cell(|c| Some(time(c.theirs.median_s))),
            cell(|c| Some(ratio(c))),
            cell(|c| c.goal.map(Goal::text)),
            cell(|c| c.reached.map(yes_or_no)),
            own_memory(row),
            cell(|c| c.theirs.scratch_mib.map(mib)),
        ]
    };
    if row.comparisons.is_empty() {
        return vec![line(None)];
    }
    row.comparisons.iter().map(|comparison| line(Some(comparison))).collect()
}

fn own_memory(row: &RowReport) -> String {
    let measured = or_dash(row.ours.scratch_mib.map(mib));
    match (row.memory_goal_mib, row.memory_reached) {
        (Some(goal), Some(true)) => format!("{measured} (≤ {goal:.0})"),
        (Some(goal), Some(false)) => format!("{measured} (> {goal:.0})"),
        _ => measured,
    }
}

fn share_line(share: &MlpShare) -> Vec<String> {
    vec![
        "kernel network of 2^18 positions, forward and backward".to_owned(),
        format!("{:.0} GFLOP/s", share.mlp_gflops),
        "product of 1,024×1,024 matrices".to_owned(),
        format!("{:.0} GFLOP/s", share.sgemm_gflops),
        format!("{:.0} %", 100.0 * share.share),
        format!("≥ {:.0} %", 100.0 * share.goal),
        yes_or_no(share.reached),
        DASH.to_owned(),
        DASH.to_owned(),
    ]
}

fn yes_or_no(reached: bool) -> String {
    if reached { "yes" } else { "no" }.to_owned()
}

/// The ratio with its range over the rounds, in the direction in which the goal is stated.
fn ratio(comparison: &Comparison) -> String {
    let Comparison { ratio, ratio_min: low, ratio_max: high, .. } = *comparison;
    let (middle, low, high, unit) = match comparison.goal {
        Some(Goal::TimeAtMost(_)) => (1.0 / ratio, 1.0 / high, 1.0 / low, "× its time"),
        _ => (ratio, low, high, "×"),
    };
    let digits = |value: f64| if value < 9.95 { format!("{value:.2}") } else { format!("{value:.1}") };
    let several = comparison.round_ratios.len() > 1;
    let range = if several { format!(" ({}–{})", digits(low), digits(high)) } else { String::new() };
    format!("{}{unit}{range}", digits(middle))
}

/// One line that says what the figures were measured on.
fn origin(report: &Report) -> String {
    let environment = &report.environment;
    let set = report.instruction_set.as_ref().map_or(String::new(), |set| format!(" ({set})"));
    let peer = report.peer.as_ref().map_or("no peer".to_owned(), |peer| format!("PyTorch {}", peer.torch));
    format!(
        "{}{set}, {}, {} of up to {}, commit {}; {peer}.",
        environment.cpu,
        counted(report.threads, "thread"),
        counted(report.rounds as usize, "round"),
        counted(report.steps as usize, "step"),
        environment.commit
    )
}

/// What a reader must know before the figures.
pub(crate) fn warnings(report: &Report) -> Vec<String> {
    let mut warnings = Vec::new();
    if report.scale == Scale::Smoke {
        warnings.push("Smoke scale: tiny sizes without optimisation. The figures mean nothing.".to_owned());
    }
    if !report.complete {
        warnings.push("Interrupted or still running: some results are missing.".to_owned());
    }
    if let Some(reason) = &report.without_peer {
        warnings.push(format!("Only cfconv was measured; nothing was compared with PyTorch: {reason}"));
    }
    warnings.extend(report.failures.iter().map(|failure| format!("Not measured: {failure}")));
    warnings
}

/// The file `table.md`.
pub(crate) fn markdown(report: &Report) -> String {
    let warnings: String = warnings(report).iter().map(|warning| format!("> {warning}\n\n")).collect();
    format!("{warnings}{}\n\n{}", origin(report), table(report).markdown())
}

/// The table of the terminal.
pub(crate) fn text(report: &Report) -> String {
    let warnings: String = warnings(report).iter().map(|warning| format!("note: {warning}\n")).collect();
    format!("{}\n{warnings}\n{}", origin(report), table(report).text())
}

#[cfg(test)]
mod tests {
    use super::super::report::tests::report;
    use super::*;

    #[test]
    fn lines_show_ratio_range_goal_and_memory() {
        let text = markdown(&report());
        let line = text.lines().find(|line| line.contains("PyTorch |")).unwrap();
        for cell in ["layer, 2^18 \\| positions", "1.00 s", "8.00 s", "8.00× (6.00–8.00)", "≥ 7×", "yes"]
        {
            assert!(line.contains(&format!("| {cell} |")), "{cell} in {line}");
        }
        assert!(line.contains("| 10 MiB (≤ 64) | 90 MiB |"), "{line}");
        assert!(text.contains("| 2.00× its time (2.00–3.00) | ≤ 1.3× its time | no |"), "{text}");
        assert!(text.contains("(Avx2), 2 threads, 2 rounds of up to 2 steps"), "{text}");
    }

    #[test]
    fn without_a_peer_the_table_says_so_and_keeps_our_times() {
        let mut alone = report();
        alone.rows[0].comparisons.clear();
        alone.without_peer = Some("there is no Python".to_owned());
        alone.peer = None;
        let text = markdown(&alone);
        assert!(text.starts_with("> Only cfconv was measured"), "{text}");
        assert!(text.contains("there is no Python"), "{text}");
        assert!(text.contains("| 1.00 s | – | – | – | – | – |"), "{text}");
    }

    #[test]
    fn unfinished_and_smoke_reports_are_marked() {
        assert_eq!(warnings(&report()), [""; 0]);
        let smoke = Report { scale: Scale::Smoke, complete: false, ..report() };
        assert_eq!(warnings(&smoke).len(), 2);
    }
}
