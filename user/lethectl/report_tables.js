// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * The report of lethectl verify, written: the verdict, and all that is a list or a table.
 * Puts data into text nodes and into attributes that are read out, and nowhere else.
 */

const $ = (id) => document.getElementById(id);

function make(tag, attributes = {}, ...children) {
	const element = document.createElement(tag);

	for (const [name, value] of Object.entries(attributes)) {
		if (value !== undefined && value !== false)
			element.setAttribute(name, value === true ? '' : value);
	}
	element.append(...children.filter((child) => child !== undefined));
	return element;
}

function button(attributes, text, act) {
	const made = make('button', {type: 'button', ...attributes}, text);

	made.addEventListener('click', act);
	return made;
}

const code = (text) => (text ? make('code', {}, text) : '');

/* What has no value comes last, up and down. */
function compare(a, b, sign) {
	if (a === b)
		return 0;
	if (a === undefined || b === undefined)
		return a === undefined ? 1 : -1;
	if (typeof a === 'string')
		return sign * a.localeCompare(String(b), 'en', {numeric: true});
	return a < b ? -sign : sign;
}

/* Sorted by a click on its head, and shown a part at a time: it may have thousands of rows. */
class Table {
	static STEP = 200;

	/*
	 * columns: {name, key: what to sort by, cell: what to show, look: "number" is flush
	 * right, "brief" is not broken, "roomy" is given room}; dress: told of each row drawn
	 */
	constructor(section, caption, columns, rows, dress = () => {}) {
		const name = section.querySelector('h2').textContent;

		Object.assign(this, {columns, rows, dress, sorted: rows, words: ''});
		this.texts = new Map();
		this.shown = Table.STEP;
		this.heads = columns.map((column) => make('th', {scope: 'col', class: column.look},
			button({}, column.name, (event) =>
				this.sort(column, event.target.parentNode))));
		this.body = make('tbody');
		this.counted = make('span', {role: 'status'});
		this.more = button({class: 'more'}, '', () => {
			this.shown += Table.STEP * 5;
			this.draw();
		});
		this.scroll = make('div',
			{class: 'scroll', role: 'region', tabindex: 0, 'aria-label': name},
			make('table', {}, make('caption', {}, caption),
				make('thead', {}, make('tr', {}, ...this.heads)), this.body));
		section.append(this.scroll, this.more);
		this.draw();
	}

	sort(column, head) {
		const down = head.getAttribute('aria-sort') === 'ascending';
		const keyed = this.rows.map((row) => [column.key(row), row]);

		keyed.sort(([a], [b]) => compare(a, b, down ? -1 : 1));
		this.sorted = keyed.map(([, row]) => row);
		this.heads.forEach((one) => one.removeAttribute('aria-sort'));
		head.setAttribute('aria-sort', down ? 'descending' : 'ascending');
		this.draw();
	}

	filter(words) {
		this.words = words.toLowerCase();
		this.shown = Table.STEP;
		this.draw();
	}

	text(row) {
		if (!this.texts.has(row)) {
			const cells = this.columns.map(({cell}) => cell(row));
			const words = cells.map((cell) => cell?.textContent ?? cell ?? '');

			this.texts.set(row, words.join(' ').toLowerCase());
		}
		return this.texts.get(row);
	}

	draw() {
		const fits = (row) => (!this.accept || this.accept(row)) &&
			(!this.words || this.text(row).includes(this.words));
		const fit = this.sorted.filter(fits);
		const rows = fit.slice(0, this.shown).map((row) => {
			const cells = this.columns.map(({cell, look}) =>
				make('td', {class: look}, cell(row) ?? ''));
			const line = make('tr', {}, ...cells);

			this.dress(row, line);
			return line;
		});

		this.fit = fit;
		this.body.replaceChildren(...rows);
		this.counted.textContent = fit.length < this.rows.length ?
			`${digits(fit.length)} of ${digits(this.rows.length)}` :
			'';
		this.more.hidden = fit.length <= this.shown;
		this.more.textContent =
			`${digits(rows.length)} of ${digits(fit.length)} are shown: more`;
	}

	/* So that the row is among those that are drawn, unless it was asked not to be. */
	reveal(row) {
		const at = this.fit.indexOf(row);

		if (at >= this.shown) {
			this.shown = at + Table.STEP;
			this.draw();
		}
	}
}

/* A table, or a sentence that there is nothing for one. */
function tableOr(id, none, caption, columns, rows, dress) {
	if (rows.length)
		return new Table($(id), caption, columns, rows, dress);
	$(id).append(make('p', {class: 'none'}, none));
	return undefined;
}

const SIGNS = {passed: '\u2713', failed: '\u2717', 'not asked': '\u2013', unknown: '?'};

/* What failed first, then what is not certain; otherwise as lethectl has them. */
function writeChecks(report) {
	const status = (check) => (Object.hasOwn(SIGNS, check.status) ? check.status : 'unknown');
	const rank = (check) => ({failed: 0, unknown: 1})[status(check)] ?? 2;
	const item = (check) => make('li', {class: status(check).replace(' ', '-')},
		make('span', {class: 'sign', 'aria-hidden': 'true'}, SIGNS[status(check)]),
		make('b', {}, status(check)), ' ',
		make('span', {class: 'name'}, plain(check.name)),
		make('span', {class: 'detail'},
			check.detail ? `: ${plain(check.detail, 800)}` : ''));
	const items = [...report.checks].sort((a, b) => rank(a) - rank(b)).map(item);

	$('checks').querySelector('ul').replaceChildren(...items);
	if (!items.length)
		$('checks').append(make('p', {class: 'none'}, 'No check is in this report.'));
}

function ended({status, signal, core}) {
	if (signal !== undefined && signal !== null)
		return `killed by signal ${plain(signal)}${core ? ', with a core dump' : ''}`;
	return status === undefined || status === null ? '' : `status ${plain(status)}`;
}

function began(started) {
	const day = new Date(started ?? '');

	return isNaN(day) ? plain(started) :
		`${day.toISOString().slice(0, 19).replace('T', ' ')} UTC`;
}

/* As it would be typed. */
function typed(word) {
	const text = plain(word, 2000);

	return /^[\w@%+=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`;
}

/* What is not known is not told. */
function facts(report) {
	const {data} = report, secret = object(data.secret), pages = object(data.pages);
	const some = (...words) => words.filter(Boolean).join(', ');
	const known = (value, words) =>
		(value === undefined || value === null ? '' : words(amount(value) ?? 0));
	const total = (name, words) => (report.total(name) ? words(report.total(name)) : '');

	return {
		Ran: time(data.seconds),
		Started: began(data.started),
		Ended: ended(object(data.exit)),
		Secret: secret.given === false ? 'none given' : some(known(secret.bytes, size),
			known(secret.patterns, (n) => `in ${count(n, 'pattern')}`)),
		Backend: some(plain(data.backend), plain(data.level)),
		Sections: some(known(data.sections, digits),
			known(data.searched_sections, (n) => `${digits(n)} searched`)),
		Searched: some(total('searched_bytes', size),
			total('register_bytes', (n) => `${size(n)} of registers`)),
		'Stopped for': total('stopped_ns', (n) => `${time(n / 1e9)} in all`),
		Pages: some(known(pages.seen, (n) => `${digits(n)} seen to leave memory`),
			known(pages.secret, (n) => `${digits(n)} of them secret`)),
	};
}

function writeHead(report) {
	const {data} = report, {verdict, sentence} = report.verdict();
	const words = Array.isArray(data.program) ? data.program : [data.program ?? ''];
	const parts = {
		checks: report.checks,
		times: report.stops,
		map: undefined,
		findings: report.copies,
		unsearched: report.regions,
		events: report.events,
		probes: report.probes,
		processes: report.processes,
		notes: report.notes
	};

	document.title = `${sentence} - lethectl verify`;
	$('verdict').className = verdict;
	$('sign').textContent = {clean: SIGNS.passed, found: SIGNS.failed}[verdict] ?? '?';
	$('verdict').querySelector('h1').textContent = sentence;
	$('because').textContent = report.because();
	$('program').textContent = words.map((word) => typed(String(word))).join(' ');
	$('program').hidden = !data.program;
	$('facts').replaceChildren(...Object.entries(facts(report)).filter(([, text]) => text)
		.map(([name, text]) =>
			make('div', {}, make('dt', {}, name), make('dd', {}, text))));
	$('parts').replaceChildren(...Object.entries(parts).map(([id, some]) => make('li', {},
		make('a', {href: `#${id}`}, $(`${id}-title`).textContent),
		some ? ` ${digits(some.length)}` : '')));
}

function much(report, copy) {
	const whole = amount(object(report.data.secret).bytes), bytes = amount(copy.finding.bytes);

	if (copy.whole)
		return make('b', {}, 'whole');
	return bytes === undefined ? '' :
		`${digits(bytes)}${whole ? ` of ${digits(whole)}` : ''} in a row`;
}

function symbol({symbol: name, offset, mapping}) {
	if (!name)
		return plain(mapping);
	return `${plain(name)} + ${hex(wide(offset) ?? 0n)}${mapping ? `, ${base(mapping)}` : ''}`;
}

/* The table of copies; choose is told which was. */
function writeFindings(report, choose) {
	const several = new Set(report.copies.map((copy) => copy.pid)).size > 1;
	const column = (name, key, look, cell) =>
		({name, key, look, cell: cell ?? ((copy) => plain(key(copy)))});
	const number = (copy) =>
		button({class: 'mark', 'aria-label': `Copy ${copy.number}: show it on the map`},
			`#${copy.number}`, (event) => {
				event.stopPropagation();
				choose(copy);
			});
	const columns = [
		column('No.', (copy) => copy.number, 'number', number),
		column('How much', (copy) => (copy.whole ? Infinity : amount(copy.finding.bytes)),
			'brief', (copy) => much(report, copy)),
		column('Form', ({finding}) => plain(finding.what ?? finding.form)),
		column('Place', ({finding}) => plain(finding.place), 'roomy'),
		column('Symbol, mapping', ({finding}) => symbol(finding) || undefined, undefined,
			({finding}) => make('span', {}, symbol(finding), ' ',
				code(plain(finding.rights)))),
		column('Address', ({finding}) => finding.address, 'number',
			({finding}) => code(hex(finding.address))),
		...(several ? [column('Process', (copy) => amount(copy.pid), 'number')] : []),
		column('Thread', ({finding}) => amount(finding.thread), 'number'),
		column('First', (copy) => copy.first.number, 'brief', (copy) => moment(copy.first)),
		column('Last', (copy) => copy.last.number, 'brief', (copy) => moment(copy.last)),
		column('Stops', (copy) => copy.stops.size, 'number',
			(copy) => digits(copy.stops.size)),
	];
	const word = make('input', {type: 'search', id: 'filter', autocomplete: 'off'});
	const tools = make('p', {class: 'tools'}), all = report.total('found');
	const named = report.stops.reduce((sum, stop) => sum + stop.findings.length, 0);

	if (report.copies.length)
		$('findings').append(tools);
	const table = tableOr('findings', 'No copy of the secret was found.',
		count(all, 'finding') + (all > named ? `, ${digits(named)} named here` : '') +
		`, of ${count(report.copies.length, 'copy', 'copies')}: what is found in one ` +
		'place in one form is one copy, at however many stops. A click on a head ' +
		'sorts, one on a row shows it on the map.',
		columns, report.copies, (copy, row) => {
			row.dataset.copy = copy.number;
			row.addEventListener('click', () => choose(copy));
		});

	word.addEventListener('input', () => table.filter(word.value.trim()));
	tools.append(make('label', {for: 'filter'}, 'Only with the word'), word,
		make('label', {}, make('input', {type: 'checkbox', id: 'only'}),
			' at the chosen stop'),
		table?.counted ?? '');
	return table;
}

function writeRest(report) {
	const column = (name, key, look, cell) =>
		({name, key, look, cell: cell ?? ((row) => plain(key(row), 2000))});
	const numeric = (name, key, cell) => column(name, key, 'number', cell);
	const process = numeric('Process', (row) => amount(row.pid));
	const moments = (name, key) => numeric(name, key, (row) => time(key(row)));
	const many = (name, key) =>
		numeric(name, key, (row) => (key(row) === undefined ? '' : digits(key(row))));
	const bold = (bad, text) => (bad ? make('b', {}, text) : text);
	const answer = (value) => ({true: 'yes', false: 'no'})[value] ?? plain(value);

	tableOr('unsearched',
		report.stops.length ?
			'Nothing was protected, and all that is mapped could be read.' :
			'Nothing was searched.',
		'Protected is what the kernel itself keeps from being read, as it should; ' +
		'unreadable is what may hide a copy.',
		[
			column('What', (row) => row.what, 'brief',
				(row) => bold(row.what === 'unreadable', row.what)),
			process,
			numeric('Address', (row) => row.address, (row) => code(hex(row.address))),
			numeric('Size', (row) => amount(row.bytes), (row) => size(row.bytes)),
			column('Mapping', (row) => plain(row.mapping) || 'anonymous memory'),
			column('Why', (row) => plain(row.why)), many('Stops', (row) => row.stops)
		],
		report.regions);
	tableOr('events', 'No probe told of any.', 'What the probes told of secret pages.',
		[
			moments('When', (row) => row.at), process,
			column('Kind', (row) => plain(row.kind), 'brief'),
			column('What', (row) => plain(row.what, 2000)),
			column('Violation', (row) => answer(Boolean(row.violation)), 'brief',
				(row) => bold(row.violation, answer(Boolean(row.violation))))
		],
		report.events);
	tableOr('probes', 'No probe is in this report.',
		'What was watched meanwhile, and what stays unseen. Not each kernel has each hook.',
		[
			column('Probe', (row) => plain(row.name)),
			column('Attached', (row) => answer(row.attached), 'brief'),
			column('Stays unseen', (row) =>
				[row.unseen].flat().map((one) => plain(one, 2000)).join('; ')),
		],
		report.probes);
	tableOr('processes', 'No process is in this report.',
		'Who ran, and how many sections of it were searched.',
		[
			process, numeric('Parent', (row) => amount(row.parent)),
			column('Name', (row) => plain(row.name)),
			moments('From', (row) => amount(row.from)),
			moments('To', (row) => amount(row.to)),
			many('Sections', (row) => amount(row.sections)),
			many('Searched', (row) => amount(row.searched_sections))
		],
		report.processes);
	$('notes').querySelector('ul').replaceChildren(
		...report.notes.map((note) => make('li', {}, plain(note, 4000))));
	if (!report.notes.length)
		$('notes').append(make('p', {class: 'none'}, 'None.'));
}
