import type { ComponentChildren } from 'preact';
import { useId } from 'preact/hooks';

/** A titled part of a site's page. `wide` takes the whole width, `tall` the height of two beside it. */
export function Panel({
  title,
  shape = 'half',
  aside,
  children,
}: {
  title: string;
  shape?: 'half' | 'tall' | 'wide';
  aside?: ComponentChildren;
  children: ComponentChildren;
}) {
  const id = useId();
  return (
    <section class={`panel ${shape}`} aria-labelledby={id}>
      <div class="panel-head">
        <h2 id={id}>{title}</h2>
        {aside}
      </div>
      {children}
    </section>
  );
}

/** A table wider than a phone scrolls by itself, also by keyboard, instead of the page. */
export function ScrollingTable({
  label,
  class: more = '',
  children,
}: {
  label: string;
  class?: string;
  children: ComponentChildren;
}) {
  return (
    // biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls has to be reachable by keyboard (WCAG 2.1.1)
    <section class="scrolling" tabIndex={0} aria-label={label}>
      <table class={`figures ${more}`}>{children}</table>
    </section>
  );
}
