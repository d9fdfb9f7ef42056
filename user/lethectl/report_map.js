// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * The report of lethectl verify, drawn: the map of the address space at one stop. A box
 * each mapping, in the order of addresses, those of one file together; findings are
 * marks on it. Of thousands, those without anything to see share a box until it is opened.
 */

class AddressMap {
	static BOXES = 200;
	static OUTSIDE = 48;

	constructor(report, choose) {
		Object.assign(this, {report, choose, opened: new Set()});
		this.tabbed = roving($('space'), () => ({}),
			(one) => { $('space-told').textContent = one.getAttribute('aria-label'); });
		$('kinds').replaceChildren(...Object.entries(KINDS).map(([kind,
			letter]) => make('li', {}, make('i', {class: `key swatch ${kind}`}, letter),
										kind)),
			make('li', {}, make('i', {class: 'key swatch protected'}), 'protected'),
			make('li', {}, make('i', {class: 'key swatch unreadable'}), 'unreadable'),
			make('li', {}, make('i', {class: 'key mark'}, '#'),
				'a finding, or how many'));
	}

	show(stop, copy) {
		if (this.stop === stop && this.drawn) {
			this.choice(copy);
			return;
		}
		const space = this.report.space(stop), mappings = space?.mappings ?? [];
		const info = new Map();
		const told = (mapping) => {
			if (!info.has(mapping))
				info.set(mapping, {found: [], protected: [], unreadable: []});
			return info.get(mapping);
		};
		const elsewhere = [];

		if (this.stop !== stop)
			this.opened.clear();
		Object.assign(this, {stop, copy, drawn: true, groups: new Map()});
		for (const finding of stop?.findings ?? []) {
			const mapping = space?.find(finding.address);

			if (mapping)
				told(mapping).found.push(finding);
			else
				elsewhere.push(finding);
		}
		for (const what of ['protected', 'unreadable']) {
			for (const region of stop?.[what] ?? []) {
				const mapping = space?.find(wide(region.address));

				if (mapping)
					told(mapping)[what].push(region);
			}
		}
		const active = document.activeElement;
		const focused = active?.closest('#space') && active.dataset.at;

		$('space').replaceChildren(...this.boxes(this.objects(mappings), info));
		if (!mappings.length)
			$('space').append(make('p', {class: 'none'}, stop ?
				'Its mappings are not in the report.' : 'There was no stop.'));
		this.tabbed();
		if (focused)
			$('space').querySelector(`[data-at="${CSS.escape(focused)}"]`)
				?.focus({preventScroll: true});
		this.elsewhere = elsewhere;
		this.outside(elsewhere);
	}

	/* What has one name, and the nameless right behind it: its .bss. */
	objects(mappings) {
		const all = [];

		for (const mapping of mappings) {
			const last = all.at(-1), {name, start} = mapping;
			const behind = !name && start === last?.end &&
				(!last.name || last.name[0] === '/');

			if (last && (behind || (name && name === last.name)))
				last.mappings.push(mapping);
			else
				all.push({name, start, mappings: [mapping]});
			all.at(-1).end = mapping.end;
		}
		return all;
	}

	boxes(objects, info) {
		const quiet = (one) => !one.mappings.some((mapping) => info.has(mapping));
		const most = objects.length > AddressMap.BOXES ?
			Math.ceil(objects.length / (AddressMap.BOXES / 2)) : 1;
		const drawn = [];
		let last;

		for (let at = 0; at < objects.length;) {
			const run = [objects[at++]];

			while (at < objects.length && run.length < most &&
			       quiet(run[0]) && quiet(objects[at]))
				run.push(objects[at++]);
			const gap = last === undefined ? 0n : run[0].start - last;
			const told = `\u22ef ${size(Number(gap))} \u22ef`;

			if (gap >= 1n << 20n)
				drawn.push(make('span', {class: 'gap'}, told));
			if (run.length > 1 && !this.opened.has(run[0].start))
				drawn.push(this.folded(run));
			else
				drawn.push(...run.map((one) => this.box(one, info)));
			last = run.at(-1).end;
		}
		return drawn;
	}

	folded(run) {
		const mappings = run.flatMap((one) => one.mappings);
		const total = mappings.reduce((sum, one) => sum + one.end - one.start, 0n);
		const label = `${count(mappings.length, 'mapping')}, ${size(Number(total))}`;
		const from = hex(run[0].start), to = hex(run.at(-1).end);
		const told = `${label}, ${from} to ${to}; nothing found in them; Enter shows them`;
		const attributes = {class: 'folded', tabindex: -1, 'data-mappings': mappings.length,
			'data-at': from, 'aria-label': told};

		return make('div', {class: 'area'}, make('span', {class: 'name'}, from),
			button(attributes, label, () => {
				this.opened.add(run[0].start);
				this.drawn = false;
				this.show(this.stop, this.copy);
			}));
	}

	box({name, mappings}, info) {
		const kinds = new Set(mappings.map((mapping) => mapping.kind));
		const look = (at) => (at > 0 && mappings[at].start > mappings[at - 1].end ?
			'segment apart' : 'segment');
		const segments = mappings.map((mapping, at) =>
			this.segment(mapping, info.get(mapping), look(at)));

		return make('div', {class: 'area'},
			make('span', {class: 'name', title: name ? plain(name) : undefined},
				name ? base(name) : [...kinds].join(', ')),
			make('div', {class: 'segments'}, ...segments));
	}

	segment(mapping, told = {found: [], protected: [], unreadable: []}, look = 'segment') {
		const {start, end, kind, rights, name} = mapping, bytes = Number(end - start);
		const refused = ['protected', 'unreadable'].filter((what) => told[what].length);
		const width = Math.max(14 + 4.5 * Math.log2(Math.max(bytes / 4096, 1)),
			told.found.length ? this.room(told.found) : 0);
		const why = (region) => `${size(region.bytes)}, ${plain(region.why)}`;
		const label = [
			`${plain(name) || kind} ${rights}, ${kind}, ${size(bytes)}`,
			`${hex(start)} to ${hex(end)}`,
			...refused.map((what) => `${what}: ${joined(told[what].map(why))}`),
			told.found.length ? count(told.found.length, 'finding') : 'nothing found',
		].join('; ');
		const attributes = {type: 'button', tabindex: -1,
			class: `map ${kind} ${refused.join(' ')}`, 'aria-label': label,
			'data-at': hex(start), 'data-mappings': 1};
		const segment = make('div', {class: look},
			make('button', attributes,
				make('span', {}, KINDS[kind] + (width > 44 ? ` ${rights}` : ''))),
			...(told.found.length ? this.marks(mapping, told.found, width) : []));

		segment.style.width = `${width}px`;
		return segment;
	}

	/* Another copy of the same stop: of the marks, those that had the old or have the new. */
	choice(copy) {
		const old = this.copy;

		this.copy = copy;
		if (this.elsewhere.length > AddressMap.OUTSIDE)
			this.outside(this.elsewhere);
		for (const [from, [some, left]] of [...this.groups]) {
			const concerned = some.some((one) => one.copy === old || one.copy === copy);

			if (old === copy || !concerned)
				continue;
			const focused = document.activeElement === from;
			const mark = this.mark(some, left);

			mark.tabIndex = from.tabIndex;
			this.groups.delete(from);
			from.replaceWith(mark);
			if (focused)
				mark.focus({preventScroll: true});
		}
	}

	/* Of one mark, in pixels: it has a number. */
	room(found) {
		return 19 + 7 * String(found.at(-1).copy.number).length;
	}

	/* As many marks as there is room for; one that stands for several goes through them. */
	marks(mapping, found, width) {
		const room = Math.max(1, Math.floor(width / this.room(found))), groups = new Map();
		const length = Number(mapping.end - mapping.start);

		for (const finding of found) {
			const part = Number(finding.address - mapping.start) / length;
			const at = Math.min(Math.floor(part * room), room - 1);

			if (!groups.has(at))
				groups.set(at, []);
			groups.get(at).push(finding);
		}
		return [...groups].sort(([a], [b]) => a - b)
			.map(([at, some]) => this.mark(some, `${(at + 0.5) / room * 100}%`));
	}

	mark(some, left) {
		const chosen = some.findIndex(({copy}) => copy === this.copy);
		const {copy} = some[Math.max(chosen, 0)], {finding} = copy;
		const single = some.length === 1;
		const said = [
			`Copy ${copy.number}: ${plain(finding.what ?? finding.form)}`,
			copy.whole ? 'whole' : `${plain(finding.bytes)} bytes in a row`,
			plain(finding.place), plain(finding.symbol), hex(finding.address),
		].filter(Boolean).join(', ');
		const many = `${digits(some.length)} findings here; Enter goes to the next`;
		const label = chosen < 0 ? many : `${said}; one of ${many}`;
		const next = chosen < 0 ? copy : some[(chosen + 1) % some.length].copy;
		const attributes = {class: 'mark', tabindex: -1, 'data-findings': some.length,
			'data-at': `mark ${some[0].copy.number}`, 'aria-pressed': `${chosen >= 0}`,
			'aria-label': single ? said : label};
		const made = button(attributes,
			single || chosen >= 0 ? `#${copy.number}` : `\u00d7${digits(some.length)}`,
			() => this.choose(next));

		if (left)
			made.style.left = left;
		this.groups.set(made, [some, left]);
		return made;
	}

	/* Registers, and what else no mapping has. */
	outside(findings) {
		const MOST = AddressMap.OUTSIDE,
		      chosen = findings.findIndex(({copy}) => copy === this.copy);
		const some = findings.slice(0, MOST);

		if (chosen >= MOST)
			some[MOST - 1] = findings[chosen];
		$('elsewhere')
			.replaceChildren(
				...some.map(
					(finding) => make('li', {}, this.mark([finding]),
						` ${plain(finding.place) || plain(finding.in)}${
							finding.thread === undefined ?
								'' :
								`, thread ${
									plain(finding.thread)}`}`)),
				...(findings.length > some.length ?
						[make('li', {},
							`and ${
								digits(findings.length -
									some.length)} more`)] :
						[]));
		$('elsewhere').dataset.findings = findings.length;
		$('elsewhere').hidden = !findings.length;
	}
}
