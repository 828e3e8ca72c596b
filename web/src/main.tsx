import { Component, type ComponentChildren, render } from 'preact';
import { Frame } from './frame.tsx';

/** A mistake in the page itself is said, instead of leaving figures that no longer move. */
class Boundary extends Component<{ children: ComponentChildren }, { failed: boolean }> {
  override state = { failed: false };
  override componentDidCatch(): void {
    this.setState({ failed: true });
  }
  override render() {
    if (!this.state.failed) return this.props.children;
    return (
      <main class="sign-in">
        <h1>This page failed</h1>
        <p role="alert">What it showed is not kept up to date any more.</p>
        <button type="button" class="primary" onClick={() => location.reload()}>
          Load it again
        </button>
      </main>
    );
  }
}

const app = document.getElementById('app');
if (app !== null)
  render(
    <Boundary>
      <Frame />
    </Boundary>,
    app,
  );
