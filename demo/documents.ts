import { API, CANARY, LEDGER, type Target } from './scene.ts';

export const VIRTUAL_SITES = `apiVersion: plumbline.io/v1
kind: VirtualSite
metadata: {name: test}
spec: {selector: "env=test"}
---
apiVersion: plumbline.io/v1
kind: VirtualSite
metadata: {name: prod}
spec: {selector: "env=prod"}
`;

/** The rule that the first version forgot. */
export const LEDGER_RULE = `{name: ledger, to: ["${urlOf(LEDGER)}"]}`;

/** What the author writes. `rules` are added to the one for the payments API. */
export function payments(rules: readonly string[]): string {
  const egress = [`{name: payments-api, to: ["${urlOf(API)}"]}`, ...rules].map((rule) => `    - ${rule}\n`);
  return `apiVersion: plumbline.io/v1
kind: Allowlist
metadata: {name: payments}
spec:
  workloads: {matchLabels: {app: checkout}}
  egress:
${egress.join('')}rollout:
  stages:
    - virtualSite: test
      verify: {soak: 3s, minHitsTotal: 4, minConclusive: 100%}
      probes:
        - {name: canary, to: "${urlOf(CANARY)}", expect: deny}
    - virtualSite: prod
      verify: {soak: 3s, minConclusive: 100%}
  onFailure: rollback
`;
}

function urlOf({ host, port }: Target): string {
  return port === 80 ? `http://${host}` : `https://${host}:${port}`;
}
