import type { RefObject } from 'preact';
import type { Filter } from './query.ts';

/** One field for words and selectors; says beneath which of the two it took the text for. */
export function FilterField({
  text,
  filter,
  refusal,
  field,
  onText,
  onDown,
}: {
  text: string;
  filter: Filter;
  /** What the hub said against it. */
  refusal: string | null;
  field: RefObject<HTMLInputElement | null>;
  onText: (text: string) => void;
  onDown: () => void;
}) {
  const wrong = filter.kind === 'invalid' || refusal !== null;
  return (
    <search class="filter">
      <label for="filter">Filter</label>
      <input
        id="filter"
        ref={field}
        type="search"
        value={text}
        placeholder="tokyo, or env in (prod)"
        autocomplete="off"
        autocapitalize="off"
        spellcheck={false}
        aria-describedby="filter-hint"
        aria-invalid={wrong}
        onInput={(event) => onText(event.currentTarget.value)}
        onKeyDown={(event) => {
          if (event.key === 'ArrowDown' || event.key === 'Enter') {
            event.preventDefault();
            onDown();
          } else if (event.key === 'Escape') {
            event.preventDefault();
            if (text === '') field.current?.blur();
            else onText('');
          }
        }}
      />
      <span id="filter-hint" class={wrong ? 'trouble-text' : 'muted'}>
        {filter.kind === 'invalid'
          ? `${filter.at}: ${filter.reason}`
          : (refusal ??
            (filter.kind === 'selector' ? 'label selector' : filter.kind === 'text' ? 'words' : ''))}
        {filter.kind === 'none' && refusal === null && (
          <>
            <kbd>/</kbd> words or a label selector
          </>
        )}
      </span>
    </search>
  );
}
