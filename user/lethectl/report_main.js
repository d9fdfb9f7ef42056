// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * The report of lethectl verify: what of the page goes together with what. The last of its
 * files, which draws all of it once.
 */

/*
 * What is chosen, and who shows it: a stop, on the time line and the map; a copy, on both
 * and in the table.
 */
class View {
	constructor(report) {
		const interesting = report.stops.find((stop) => stop.findings.length) ??
			report.stops.find((stop) => stop.complete === false) ?? report.stops.at(-1);

		this.report = report;
		this.map = new AddressMap(report, (copy) => this.choose(copy));
		this.lines = new TimeLine(report, (stop) => this.go(stop));
		this.table = writeFindings(report, (copy) => this.choose(copy, true));
		$('stop').max = report.stops.length || 1;
		const step = (by) => report.stops[this.stop?.number - 1 + by];
		const before = (stop) => stop.number < this.stop?.number && stop.findings.length;
		const after = (stop) => stop.number > this.stop?.number && stop.findings.length;
		const ways = {
			'stop-before': () => step(-1),
			'stop-after': () => step(1),
			'found-before': () => report.stops.findLast(before),
			'found-after': () => report.stops.find(after)
		};

		for (const [id, way] of Object.entries(ways))
			$(id).addEventListener('click', () => this.go(way() ?? this.stop));
		$('stop').addEventListener('change',
			() => this.go(report.stops[$('stop').value - 1] ?? this.stop));
		$('only')?.addEventListener('change', () => this.go(this.stop));
		this.ways = ways;
		this.go(interesting);
	}

	go(stop, copy = this.copy) {
		this.stop = stop;
		this.copy = copy && copy.stops.has(stop) ? copy : undefined;
		const only = $('only')?.checked;

		if (this.table && (only || this.table.accept)) {
			this.table.accept = only ? (one) => one.stops.has(this.stop) : undefined;
			this.table.draw();
		}
		this.lines.mark(stop, this.copy);
		this.map.show(stop, this.copy);
		document.querySelector('tr.chosen')?.classList.remove('chosen');
		this.row()?.classList.add('chosen');
		for (const id of Object.keys(this.ways))
			$(id).disabled = !this.ways[id]();
		$('stop').disabled = !stop;
		if (!stop)
			return;
		$('stop').value = stop.number;
		$('stop-is').textContent = [
			`of ${digits(this.report.stops.length)}: ${moment(stop)}`,
			plain(stop.pid) && `process ${plain(stop.pid)}`,
			plain(stop.thread) && `thread ${plain(stop.thread)}`, `at ${time(stop.at)}`,
		].filter(Boolean).join(', ');
		const {found, findings, searched_bytes: bytes, register_bytes: registers} = stop;

		$('stop-facts').textContent = [
			count(found, 'finding'),
			found > findings.length && `the first ${digits(findings.length)} named`,
			size(bytes) && `${size(bytes)} searched`,
			amount(registers) && `${size(registers)} of registers`,
			amount(stop.stopped_ns) && `stopped for ${time(stop.stopped_ns / 1e9)}`,
			{true: 'complete', false: 'not complete'}[stop.complete],
			stop.protected.length && `${digits(stop.protected.length)} protected`,
			stop.unreadable.length && `${digits(stop.unreadable.length)} unreadable`,
		].filter(Boolean).join(' \u00b7 ');
	}

	row() {
		return this.copy && document.querySelector(`tr[data-copy="${this.copy.number}"]`);
	}

	choose(copy, onMap = false) {
		this.go(copy.stops.has(this.stop) ? this.stop : copy.first, copy);
		this.table?.reveal(copy);
		this.row()?.classList.add('chosen');
		const mark = document.querySelector('#map button[aria-pressed="true"]');

		$('space-told').textContent = mark?.getAttribute('aria-label') ?? '';
		if (onMap) {
			mark?.focus();
		} else {
			const row = this.row(), {scroll} = this.table ?? {};

			// The table scrolls to it, the page does not: who looks at the map goes on.
			if (row)
				scroll.scrollTop = row.offsetTop - scroll.clientHeight / 2;
		}
	}
}

function main() {
	let data;

	try {
		data = parse($('data').textContent);
	} catch (error) {
		$('verdict').className = 'unknown';
		$('sign').textContent = '?';
		$('because').textContent = `The JSON in this page cannot be read: ${
			plain(error.message)}. What lethectl printed holds.`;
		document.querySelector('main').hidden = true;
		return;
	}
	const report = new Report(data);

	writeHead(report);
	writeChecks(report);
	new View(report);
	writeRest(report);
}

main();
