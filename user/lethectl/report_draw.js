// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * The report of lethectl verify, drawn: the time line. However much there is, so many
 * elements are made as can be told apart: stops of the same few pixels are one mark. What
 * can be pointed at can be reached by keys: one tab stop a drawing, arrows within.
 */

/* Of all buttons within, one is in the tab order; arrows go on from it. */
function roving(group, inRow, told) {
	const buttons = () => [...group.querySelectorAll('button')];
	const enter = (one) => {
		group.querySelector('button[tabindex="0"]')?.setAttribute('tabindex', -1);
		one.tabIndex = 0;
	};

	group.addEventListener('focusin', ({target}) => {
		enter(target);
		told(target);
	});
	group.addEventListener('pointerover',
		({target}) => target.closest('button') && told(target.closest('button')));
	group.addEventListener('keydown', (event) => {
		const from = event.target.closest('button'), all = buttons();
		const at = all.indexOf(from);
		const to = {
			ArrowRight: all[at + 1],
			ArrowLeft: all[at - 1],
			Home: all[0],
			End: all.at(-1),
			...inRow(from, event.key)
		}[event.key];

		if (to && from && !event.ctrlKey && !event.altKey && !event.metaKey) {
			to.focus();
			event.preventDefault();
		}
	});
	return () => {
		const first = buttons()[0];
		if (first && !group.querySelector('button[tabindex="0"]'))
			first.tabIndex = 0;
	};
}

/* Processes, first those with something to see, each followed by its threads. */
function lineRows(report) {
	const PROCESSES = 16, THREADS = 12, known = new Map();
	const row = (label) => ({label, stops: [], events: []});
	const of = (pid) => {
		if (!known.has(pid))
			known.set(pid, {
				found: 0,
				main: row(`process ${plain(pid) || 'unknown'}`),
				threads: new Map()
			});
		return known.get(pid);
	};

	for (const process of report.processes) {
		const {main} = of(process.pid);

		main.label = `${plain(process.name) || 'process'} ${plain(process.pid)}`;
		main.life = [amount(process.from) ?? 0, amount(process.to) ?? Infinity];
	}
	for (const stop of report.stops) {
		const {main, threads} = of(stop.pid), {thread} = stop;

		of(stop.pid).found += stop.findings.length;
		if (plain(thread) && thread !== stop.pid && !threads.has(thread))
			threads.set(thread, {...row(`thread ${plain(thread)}`), thread: true});
		(threads.get(thread) ?? main).stops.push(stop);
	}
	report.events.forEach((event) => of(event.pid).main.events.push(event));
	const seen = ({found, main}) => (found > 0 || main.events.length > 0 ? 1 : 0);
	// Beyond so many, those with findings are kept, and the others share a row.
	const few = (all, most, found, rest) => {
		if (all.length <= most)
			return [all];
		const kept = new Set([...all].sort((a, b) => found(b) - found(a)).slice(0, most));

		return [
			all.filter((one) => kept.has(one)),
			rest(all.filter((one) => !kept.has(one)))
		];
	};
	const merged = (label, rows) => ({
		...row(label),
		thread: rows[0].thread,
		stops: rows.flatMap((one) => one.stops),
		events: rows.flatMap((one) => one.events)
	});
	const rowsOf = ({main, threads}) => {
		const sorted = [...threads].sort(([a], [b]) => a - b).map(([, one]) => one);
		const [some, others] = few(sorted, THREADS,
			(one) => one.stops.filter((stop) => stop.findings.length).length,
			(rest) => merged(`${count(rest.length, 'thread')} more`, rest));

		return [main, ...some, ...(others ? [others] : [])];
	};
	const [some, others] = few([...known.values()].sort((a, b) => seen(b) - seen(a)), PROCESSES,
		({found, main}) => found + main.events.length,
		(rest) => merged(`${count(rest.length, 'process', 'processes')} more`,
			rest.flatMap(rowsOf)));

	return [...some.flatMap(rowsOf), ...(others ? [{...others, thread: false}] : [])];
}

class TimeLine {
	constructor(report, choose) {
		const last = (times) => times.reduce((a, b) => (isFinite(b) && b > a ? b : a), 0);

		Object.assign(this, {report, choose, rows: lineRows(report)});
		const end = last([amount(report.data.seconds) ?? 0,
			...report.stops.map((stop) => stop.at),
			...report.events.map((event) => event.at),
			...report.processes.map((one) => amount(one.to) ?? 0)]);

		this.all = [0, end * 1.01 || 1];
		this.span = this.all;
		this.bins = new Map();
		const acts = {
			'zoom-in': () => this.zoom(0.25),
			'zoom-out': () => this.zoom(4),
			'zoom-all': () => this.zoom(Infinity),
			earlier: () => this.pan(-0.5),
			later: () => this.pan(0.5)
		};

		for (const [id, act] of Object.entries(acts))
			$(id).addEventListener('click', act);
		this.tabbed = roving($('lines'), (from, key) => this.vertical(from, key),
			(one) => { $('lines-told').textContent = one.getAttribute('aria-label'); });
		$('lines').addEventListener('keydown', ({key}) => {
			const act = {
				'+': () => this.zoom(0.25),
				'-': () => this.zoom(4),
				0: () => this.zoom(Infinity)
			}[key];

			if (act)
				act();
		});
		$('lines').addEventListener('click', ({target}) => {
			const stops = this.bins.get(target.closest('button'))?.stops ?? [];
			const stop = stops.find(({findings}) => findings.length) ?? stops[0];

			if (stop)
				this.choose(stop);
		});
		new ResizeObserver(() => {
			if (this.width !== $('lines').clientWidth)
				this.draw();
		}).observe($('lines'));
		this.draw();
	}

	/* Up and down: what is nearest in the next row that has any. */
	vertical(from, key) {
		const step = {ArrowUp: -1, ArrowDown: 1}[key];
		const lines = [...$('lines').querySelectorAll('.line')];
		let at = from && lines.indexOf(from.closest('.line')), best;

		if (!step || !from)
			return {};
		for (at += step; lines[at] && !best; at += step) {
			const near = (one) =>
				Math.abs(this.bins.get(one).at - this.bins.get(from).at);

			best = [...lines[at].querySelectorAll('button')].reduce(
				(a, b) => (!a || near(b) < near(a) ? b : a), undefined);
		}
		return best ? {[key]: best} : {};
	}

	zoom(factor) {
		const focused = this.bins.get(document.activeElement);
		const [from, to] = this.span, seen = (at) => at >= from && at <= to;
		const center = focused?.time ??
			(this.stop && seen(this.stop.at) ? this.stop.at : (from + to) / 2);
		const length = Math.max((to - from) * factor, this.all[1] * 1e-7);

		this.span = length >= this.all[1] ? this.all :
			this.within(center - length * (center - from) / (to - from), length);
		this.draw();
		const far = ([, bin]) => Math.abs(bin.time - center);

		if (focused)
			[...this.bins].reduce((a, b) => (far(b) < far(a) ? b : a))[0].focus();
	}

	within(from, length) {
		const start = Math.min(Math.max(from, 0), this.all[1] - length);

		return [start, start + length];
	}

	pan(part) {
		this.span = this.within(this.span[0] + (this.span[1] - this.span[0]) * part,
			this.span[1] - this.span[0]);
		this.draw();
	}

	/* Of the chosen stop and copy; a stop that is out of view brings the view along. */
	mark(stop, copy) {
		Object.assign(this, {stop, copy});
		if (stop && (stop.at < this.span[0] || stop.at > this.span[1])) {
			this.span = this.within(stop.at - (this.span[1] - this.span[0]) / 2,
				this.span[1] - this.span[0]);
			this.draw();
		} else {
			this.bins.forEach((bin, button) => this.shade(button, bin));
			this.point();
		}
		this.reveal(document.querySelector('#lines .bin[aria-current]')?.closest('.line'));
	}

	/* A row that is out of sight is scrolled to, without moving the page. */
	reveal(row) {
		const lines = $('lines'), top = row ? row.offsetTop - lines.offsetTop : 0;

		const bottom = row ? top + row.offsetHeight : 0;

		if (row && (top < lines.scrollTop || bottom > lines.scrollTop + lines.clientHeight))
			lines.scrollTop = top - lines.clientHeight / 2;
	}

	shade(button, bin) {
		if (bin.stops.includes(this.stop))
			button.setAttribute('aria-current', 'true');
		else
			button.removeAttribute('aria-current');
		button.querySelector('b')?.classList.toggle('chosen',
			bin.stops.some((stop) => this.copy?.stops.has(stop)));
	}

	/* A line down all rows at the chosen stop. */
	point() {
		const [from, to] = this.span, at = this.stop?.at, lines = $('lines');

		lines.style.setProperty('--at', this.stop ? (at - from) / (to - from) : 0);
		lines.classList.toggle('pointed', Boolean(this.stop && at >= from && at <= to));
	}

	draw() {
		const [from, to] = this.span, held = (at) => at >= from && at <= to;
		const left = (at) =>
			`${Math.min(Math.max((at - from) / (to - from), 0), 1) * 100}%`;
		const lines = $('lines'), width = lines.clientWidth;
		const most = Math.max(30, Math.floor((width - 150) / 6));

		this.width = width;
		this.bins.clear();
		const drawn = this.rows.map((row) => {
			const track = make('div', {class: 'track'}), bins = new Map();
			const put = (what, one) => {
				const part = (one.at - from) / (to - from);
				const at = Math.min(Math.floor(part * most), most - 1);

				if (!held(one.at))
					return;
				const bin = bins.get(at) ??
					{at, time: one.at, row, stops: [], events: []};

				bins.set(at, bin);
				bin[what].push(one);
			};

			if (row.life && row.life[0] <= to && row.life[1] >= from) {
				const life = make('span', {class: 'life'});

				life.style.left = left(row.life[0]);
				life.style.right = `calc(100% - ${left(row.life[1])})`;
				track.append(life);
			}
			row.stops.forEach((stop) => put('stops', stop));
			row.events.forEach((event) => put('events', event));
			for (const at of [...bins.keys()].sort((a, b) => a - b))
				track.append(this.bin(bins.get(at), most,
					[-2, -1, 1, 2].every((by) => !bins.get(at + by))));
			return make('div', {class: row.thread ? 'line thread' : 'line'},
				make('span', {class: 'label'}, row.label), track);
		});

		lines.replaceChildren(...drawn, this.axis(left));
		if (!drawn.length)
			lines.append(make('p', {class: 'none'}, 'Nothing is in this report.'));
		this.point();
		this.tabbed();
		$('span').textContent = `${time(from)} to ${time(to)}`;
		for (const id of ['zoom-all', 'zoom-out', 'earlier', 'later'])
			$(id).disabled = this.span === this.all;
	}

	/* Of a bin, for who points at it or hears it read. */
	told({stops, events, row}, copies) {
		const first = stops[0] ?? events[0], last = stops.at(-1) ?? events.at(-1);
		const found = stops.filter((stop) => stop.findings.length).length;
		const said = [row.label];

		said.push(`${time(first.at)}${first === last ? '' : ` to ${time(last.at)}`}`);
		if (stops.length === 1)
			said.push(`stop ${first.number}, ${moment(first)}`);
		else if (stops.length)
			said.push(count(stops.length, 'stop'),
				`${moment(first)} to ${moment(last)}`);
		if (found)
			said.push(`${count(copies.size, 'copy', 'copies')} found` +
				(stops.length > 1 ? ` at ${digits(found)} of them` : ''));
		else if (stops.length)
			said.push('nothing found');
		if (stops.some((stop) => stop.complete === false))
			said.push('search not complete');
		for (const event of events.slice(0, 3))
			said.push(`${plain(event.kind)}: ${plain(event.what)}` +
				(event.violation ? ' (violation)' : ''));
		if (events.length > 3)
			said.push(`${count(events.length - 3, 'event')} more`);
		return said.join('; ');
	}

	/* Of what is in the bin, the rarest gives its shape. */
	shape(stops) {
		const shapes = {core: 'core', exit: 'exit', 'still running': 'exit', mark: 'point'};
		const whys = new Set(stops.map((stop) => stop.why));
		const rarest = Object.keys(shapes).find((why) => whys.has(why));

		return shapes[rarest] ?? (stops.length ? 'end' : '');
	}

	bin(bin, most, alone) {
		const {stops, events} = bin, strongest = this.shape(stops);
		const findings = stops.flatMap((stop) => stop.findings);
		const copies = new Set(findings.map((finding) => finding.copy));
		const part = stops.some((stop) => stop.complete === false);
		const broken = events.some((event) => event.violation);
		const made = make('button', {type: 'button', tabindex: -1,
			class: `bin ${strongest}${part ? ' part' : ''}`,
			'aria-label': this.told(bin, copies), 'data-stops': stops.length,
			'data-findings': findings.length, 'data-events': events.length});

		made.style.left = `${(bin.at + 0.5) / most * 100}%`;
		if (strongest)
			made.append(make('i', {class: 'tick'}));
		if (strongest === 'end')
			made.firstChild.style.height =
				`${Math.min(8 + 2.5 * Math.log2(stops.length), 18)}px`;
		if (copies.size)
			made.append(make('b', {class: 'found'}, alone ? digits(copies.size) : ''));
		if (events.length)
			made.append(make('i', {class: broken ? 'event violation' : 'event'}));
		this.bins.set(made, bin);
		this.shade(made, bin);
		return made;
	}

	axis(left) {
		const [from, to] = this.span, track = make('div', {class: 'track'});
		const rough = (to - from) / (this.width < 600 ? 3 : 7);
		const power = 10 ** Math.floor(Math.log10(rough));
		const step = [1, 2, 5, 10].find((one) => one * power >= rough) * power;
		const places = Math.max(0, -Math.floor(Math.log10(step) + 1e-9));

		for (let n = Math.ceil(from / step - 1e-9); n * step <= to; n++) {
			const label = make('span', {}, `${(n * step).toFixed(places)} s`);

			label.style.left = left(n * step);
			track.append(label);
		}
		return make('div', {class: 'line axis', 'aria-hidden': 'true'},
			make('span', {class: 'label'}), track);
	}
}
