// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * The report of lethectl verify, read: the JSON in the page becomes stops, copies and
 * mappings, and the words for them. Whatever is missing there is missing here, and
 * nothing else. Never makes HTML of data, whose names are others': the files after this one
 * put them into text nodes.
 */

// Members that are not what they should be are as good as missing.
const list = (value) =>
	Array.isArray(value) ? value.filter((one) => one !== null && typeof one === 'object') : [];
const object = (value) => (value !== null && typeof value === 'object' ? value : {});

function amount(value) {
	const known = value !== null && value !== undefined && value !== '' && isFinite(value);

	return known ? Number(value) : undefined;
}

// An address, of a number or of "0x...": doubles end at 53 bits, addresses do not.
function wide(value) {
	if (value === null || value === undefined || value === '')
		return undefined;
	try {
		return BigInt(value);
	} catch {
		return undefined;
	}
}

// So that none loses digits before wide() sees it, a long number is made a string.
function parse(text) {
	return object(JSON.parse(text.replace(/"[^"\\]*(?:\\.[^"\\]*)*"|-?\d[\d.eE+-]*/g,
		(token) => (/^-?\d{16,}$/.test(token) ? `"${token}"` : token))));
}

// What changes the look of a line, or cannot be seen, is written out; and no name is endless.
function plain(value, most = 300) {
	const text = value === undefined || value === null ? '' : String(value);
	const clipped =
		text.length > most ? `${text.slice(0, most)}... (${text.length} characters)` : text;

	return clipped.replace(
		/[\p{Cc}\p{Cf}\u2028\u2029]/gu, (c) => `\\u{${c.codePointAt(0).toString(16)}}`);
}

const digits = (value) => value.toLocaleString('en');
const count = (n, one, many = `${one}s`) => `${digits(n)} ${n === 1 ? one : many}`;
const hex = (address) => (address === undefined ? '' : `0x${address.toString(16)}`);
const base = (name) => plain(String(name).split('/').pop() || name);

function size(value) {
	const units = ['bytes', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB', 'EiB'];
	let n = amount(value), unit = 0;

	if (n === undefined)
		return '';
	if (n === 1)
		return '1 byte';
	for (; n >= 1024 && unit < units.length - 1; unit++)
		n /= 1024;
	return `${n >= 100 || Number.isInteger(n) ? Math.round(n) : n.toPrecision(3)} ${
		units[unit]}`;
}

function time(value) {
	const s = amount(value);

	if (s === undefined)
		return '';
	if (Math.abs(s) >= 120)
		return `${Math.floor(s / 60)} min ${Math.round(s % 60)} s`;
	if (Math.abs(s) >= 1 || s === 0)
		return `${Number(s.toPrecision(5))} s`;
	return Math.abs(s) >= 1e-3 ? `${Number((s * 1e3).toPrecision(4))} ms` :
				     `${Number((s * 1e6).toPrecision(4))} us`;
}

// "a", "a and b", "a, b and c"; of many, the first few.
function joined(words, most = 4) {
	const all = words.length > most ?
		[...words.slice(0, most - 1), `${digits(words.length - most + 1)} more places`] :
		words;

	return all.length < 2 ? all.join('') : `${all.slice(0, -1).join(', ')} and ${all.at(-1)}`;
}

function moment(stop) {
	const section = plain(stop.section);

	switch (stop.why) {
	case 'section end':
		return section ? `after section ${section}` : 'after a section';
	case 'mark':
		return `at mark ${plain(stop.mark)}`;
	case 'exit':
		return 'at exit';
	case 'still running':
		return 'as it was let go';
	case 'core':
		return stop.file === undefined ? 'as it crashed' : 'in the core dump';
	default:
		return plain(stop.why) || 'at a stop';
	}
}

const KINDS = {
	stack: 'S',
	heap: 'H',
	file: 'F',
	anonymous: 'A',
	secret: 'X',
	kernel: 'K',
	device: 'D',
};

/* One reading of /proc/PID/maps; its mappings are sorted out when they are looked at. */
class Space {
	#raw;
	#mappings;

	constructor(raw) {
		this.#raw = raw;
		this.at = amount(raw.at) ?? 0;
	}

	get mappings() {
		this.#mappings ??=
			list(this.#raw.mappings)
				.map((raw) => ({
					start: wide(raw.start),
					end: wide(raw.end),
					name: raw.name ?? '',
					rights: plain(raw.rights),
					kind: Object.hasOwn(KINDS, raw.kind) ? raw.kind :
									       'anonymous',
				}))
				.filter((one) => one.start !== undefined && one.end > one.start)
				.sort((a, b) => (a.start < b.start ? -1 : 1));
		return this.#mappings;
	}

	find(address) {
		let low = 0, high = this.mappings.length;

		if (address === undefined)
			return undefined;
		while (low < high) {
			const middle = (low + high) >> 1;

			if (this.mappings[middle].end > address)
				high = middle;
			else
				low = middle + 1;
		}
		return this.mappings[low]?.start <= address ? this.mappings[low] : undefined;
	}
}

function copyKey({pid}, {address, thread, place, in: where, form, what}) {
	return [pid, where, address ?? `${thread} ${place}`, form, what].join('\n');
}

/* All that the page shows, out of the JSON. */
class Report {
	constructor(data) {
		this.data = data;
		this.processes = list(data.processes);
		this.events = list(data.events).map((raw) => ({...raw, at: amount(raw.at) ?? 0}));
		this.checks = list(data.checks);
		this.probes = list(data.probes);
		this.notes = Array.isArray(data.notes) ? data.notes : [];
		this.spaces = new Map();
		for (const raw of list(data.maps)) {
			if (!this.spaces.has(raw.pid))
				this.spaces.set(raw.pid, []);
			this.spaces.get(raw.pid).push(new Space(raw));
		}
		this.spaces.forEach((some) => some.sort((a, b) => a.at - b.at));
		this.stops =
			list(data.stops).map((raw) => this.stop(raw)).sort((a, b) => a.at - b.at);
		this.stops.forEach((stop, index) => { stop.number = index + 1; });
		this.gatherCopies();
		this.gatherRegions();
	}

	stop(raw) {
		const findings =
			list(raw.findings).map((one) => ({...one, address: wide(one.address)}));

		return {
			...raw,
			findings,
			at: amount(raw.at) ?? 0,
			// A file that was dumped is of the program that was run.
			pid: raw.pid ?? (raw.why === 'core' ? this.processes[0]?.pid : undefined),
			protected: list(raw.protected),
			unreadable: list(raw.unreadable),
			found: Math.max(amount(raw.found) ?? 0, findings.length),
		};
	}

	/* The mappings as they were last read at that stop. */
	space(stop) {
		const some = stop ? this.spaces.get(stop.pid) ?? [] : [];

		return some.findLast((one) => one.at <= stop.at + 1e-6) ?? some[0];
	}

	/* What is found at one place in one form is one copy, at however many stops. */
	gatherCopies() {
		const known = new Map();

		for (const stop of this.stops) {
			for (const finding of stop.findings) {
				const key = copyKey(stop, finding), {pid} = stop;
				const number = known.size + 1, stops = new Set();

				finding.copy = known.get(key) ??
					{number, finding, stops, pid, first: stop};
				known.set(key, finding.copy);
				this.seen(finding.copy, finding, stop);
			}
		}
		this.copies = [...known.values()];
	}

	/* Of a copy that is there more and less wholly, the most is told. */
	seen(copy, finding, stop) {
		if ((amount(finding.bytes) ?? 0) > (amount(copy.finding.bytes) ?? 0))
			copy.finding = finding;
		copy.whole ||= finding.whole === true;
		copy.last = stop;
		copy.stops.add(stop);
	}

	gatherRegions() {
		const known = new Map();

		for (const stop of this.stops) {
			for (const what of ['protected', 'unreadable']) {
				for (const raw of stop[what]) {
					const {address, bytes, why} = raw, {pid} = stop;
					const key = [what, pid, address, bytes, why].join('\n');
					const region = known.get(key) ??
						{...raw, what, pid, stops: 0};

					region.address = wide(address);
					region.stops++;
					known.set(key, region);
				}
			}
		}
		this.regions = [...known.values()];
	}

	total(name) {
		return this.stops.reduce((sum, stop) => sum + (amount(stop[name]) ?? 0), 0);
	}

	/* Where a copy is, in a few words: "on the stack of thread 12". */
	whereabouts(copy) {
		const {thread, address, mapping, place} = copy.finding, where = copy.finding.in;
		const whose = plain(thread) && ` of thread ${plain(thread)}`;
		const told = /^the (environment|arguments|auxiliary vector)/.exec(place);
		const kind = this.space(copy.first)?.find(address)?.kind ??
			{'[heap]': 'heap', '[stack]': 'stack'}[mapping];
		const words = {
			stack: whose ? `on the stack${whose}` : 'on a stack',
			heap: 'in the heap',
			file: mapping ? `in the data of ${base(mapping)}` : 'in the data of a file',
			anonymous: 'in anonymous memory',
			secret: 'in secret memory',
			kernel: 'in pages of the kernel',
			device: 'in device memory',
		};

		if (where === 'register')
			return `in a register${whose}`;
		if (told)
			return `in ${told[0]}`;
		if (where === 'file')
			return 'in the core dump';
		if (where && where !== 'memory')
			return `in the ${plain(where)}`;
		return words[kind] ?? `in ${base(mapping || place || 'memory')}`;
	}

	/* "3 copies of the secret, 1 whole, in the heap and in libz.so.1, after section 4" */
	found() {
		const whole = this.copies.filter((copy) => copy.whole).length, where = new Map();
		const pids = new Set(this.copies.map((copy) => copy.pid)).size;
		const stops = this.stops.filter((stop) => stop.findings.length);
		const first = moment(stops[0]), last = moment(stops.at(-1));

		for (const place of this.copies.map((copy) => this.whereabouts(copy)))
			where.set(place, (where.get(place) ?? 0) + 1);
		return [
			`${count(this.copies.length, 'copy', 'copies')} of the secret`,
			`${whole || 'none'} whole`,
			joined([...where].sort((a, b) => b[1] - a[1]).map(([name]) => name)),
			pids > 1 && `in ${digits(pids)} processes`,
			first === last ? first : `first ${first}, last ${last}`,
		].filter(Boolean).join(', ');
	}

	/* What the verdict rests on. */
	because() {
		const of = (why) => this.stops.filter((stop) => stop.why === why);
		const dumped = of('core').filter((stop) => stop.file !== undefined).length;
		const found = this.stops.filter((stop) => stop.findings.length).length;
		const all = this.total('found');
		const part = this.stops.filter((stop) => stop.complete === false).length;
		const left = amount(this.data.stops_left_out);
		const kinds = [
			[of('section end').length, 'section end'],
			[of('mark').length, 'mark'],
			[of('exit').length, 'exit'],
			[of('still running').length, 'process let go', 'processes let go'],
			[of('core').length - dumped, 'crash', 'crashes'],
			[dumped, 'core dump'],
		].filter(([n]) => n).map((words) => count(...words));
		const named = (status, word) => {
			const some = this.checks.filter((check) => check.status === status);
			const names = some.map((check) => plain(check.name)).join('; ');

			return names && `${word}: ${names}.`;
		};
		let searched = 'Not one stop was searched.';

		if (this.stops.length) {
			searched = count(this.stops.length, 'stop') + ' searched';
			searched += kinds.length ? `: ${joined(kinds, 9)}` : '';
			searched += part ? `, ${digits(part)} not completely.` : '.';
		}
		return [
			found && `${count(all, 'finding')} at ${count(found, 'stop')}.`,
			searched,
			left && `${count(left, 'stop')} more are in the checks, but not here.`,
			named('failed', 'Failed'),
			named('unknown', 'Not certain'),
		].filter(Boolean).join(' ');
	}

	/* {verdict: clean, found or unknown; sentence} */
	verdict() {
		const verdicts = {clean: 'clean', found: 'found', violation: 'found'};
		const verdict = verdicts[this.data.verdict] ?? 'unknown';
		const nothing = object(this.data.secret).given === false ?
			'nothing was broken; no secret was given to search for' :
			'no copy of the secret was found';
		const begins = {
			found: 'Found',
			clean: 'Clean, but found',
			unknown: 'Unknown, but found',
		};
		const without = {
			clean: `Clean: ${nothing}`,
			found: 'Found: no copy at a stop, but a check failed',
			unknown: 'Unknown: nothing was found, but that is not certain',
		};

		return {
			verdict,
			sentence: this.copies.length ? `${begins[verdict]}: ${this.found()}` :
				without[verdict],
		};
	}
}
