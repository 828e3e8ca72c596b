import type { Command } from '../../core/model/resource.ts';
import type { Registered } from '../registry.ts';
import { applyVirtualSite } from './apply-virtual-site.ts';
import type { Asked, Outcome } from './outcome.ts';
import { remove } from './remove.ts';
import { addSite } from './site-add.ts';
import { joinSite } from './site-join.ts';
import { labelSite } from './site-label.ts';
import { createToken } from './token-create.ts';

/** What a command comes to, given all that was decided before it. Pure. */
export function decide(command: Command, asked: Asked, registered: Registered): Outcome {
  const wanted = command.do;
  switch (wanted.verb) {
    case 'apply':
      return applyVirtualSite(wanted.document, asked, registered);
    case 'delete':
      return remove(wanted, registered);
    case 'site.add':
      return addSite(wanted, asked, registered);
    case 'site.label':
      return labelSite(wanted, asked, registered);
    case 'site.join':
      return joinSite(wanted, asked, registered);
    case 'token.create':
      return createToken(wanted, asked, registered);
  }
}
