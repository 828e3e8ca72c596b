/** What `up` says once it is ready: where it is, how to get in, where data lives, what to try. */
export function greeting(hub: {
  url: string;
  signInUrl: string;
  dataDir: string;
  site: string | null;
  log: string;
  readyInS: number;
}): string {
  return `
Plumbline is up (${hub.readyInS.toFixed(1)} s).

  Live page   ${hub.signInUrl}
              (signs you in once; it is good for 10 minutes, and ./plumbline signin prints another)
  Address     ${hub.url}
  Data        ${hub.dataDir}  (log and tables: ${hub.log}; store: ClickHouse in this process)
  This site   ${hub.site ?? 'none: this machine is not shown as a site (localSite is false)'}

Try next, in another terminal:
  ./plumbline top                             the fleet, live
  ./plumbline explain site ${(hub.site ?? 'NAME').padEnd(18)} its score, penalty by penalty
  ./plumbline apply -f examples/stages.yaml   virtual sites: test and prod
  ./plumbline site add jp-tokyo-1 --label env=test
                                              prints the one command that joins another machine
  ./plumbline simulate --sites 50 --seed 7 --incidents some
                                              a simulated fleet, labelled as such, with a few faults
  ./plumbline doctor                          is everything well, and where is every report

Nothing here touches this machine's firewall. Ctrl-C stops it; everything is kept.
`;
}
