import type { Host, Pressure } from '../../../core/model/report.ts';
import { Utilisation } from '../bar.tsx';
import { bytes, count, duration } from '../format.ts';
import { Panel, ScrollingTable } from './panel.tsx';

/** What the host probe read: processor, memory, disks, pressure, interfaces. */
export function HostFigures({ host }: { host: Host }) {
  const { cpu, memory, swap, disks, interfaces, pressure } = host;
  return (
    <>
      <Panel title="Host" aside={<span class="muted">up {duration(host.uptimeS * 1000)}</span>}>
        <dl class="gauges">
          <Gauge name="CPU" ratio={cpu.utilization}>
            {cpu.count} logical, load {cpu.load1.toFixed(2)}
          </Gauge>
          <Gauge name="Memory" ratio={memory.utilization}>
            {bytes(memory.availableBytes)} of {bytes(memory.totalBytes)} available
          </Gauge>
          {swap.totalBytes > 0 ? (
            <Gauge name="Swap" ratio={swap.utilization}>
              {bytes(swap.usedBytes)} of {bytes(swap.totalBytes)} used
            </Gauge>
          ) : (
            <Gauge name="Swap" ratio={null}>
              none
            </Gauge>
          )}
          {disks.map((disk) => (
            <Gauge key={disk.mount} name={`Disk ${disk.mount}`} ratio={disk.utilization}>
              {bytes(disk.availableBytes)} of {bytes(disk.totalBytes)} free
              {disk.inodesUtilization !== undefined && disk.inodesUtilization >= 0.5 && (
                <>, {Math.round(disk.inodesUtilization * 100)}% of inodes used</>
              )}
            </Gauge>
          ))}
        </dl>
      </Panel>
      <Panel title="Pressure" aside={<span class="muted">share of the last 10 s</span>}>
        {pressure ? (
          <PressureGauges pressure={pressure} />
        ) : (
          <p class="muted">This kernel keeps no pressure figures.</p>
        )}
        {interfaces.length > 0 && <Interfaces interfaces={interfaces} />}
      </Panel>
    </>
  );
}

function Interfaces({ interfaces }: { interfaces: Host['interfaces'] }) {
  return (
    <>
      <h3>Interfaces, since the kernel started</h3>
      <ScrollingTable label="Network interfaces">
        <thead>
          <tr>
            <th scope="col">Name</th>
            <th scope="col">State</th>
            <th scope="col" class="number">
              Received
            </th>
            <th scope="col" class="number">
              Sent
            </th>
            <th scope="col" class="number">
              Errors
            </th>
          </tr>
        </thead>
        <tbody>
          {interfaces.map((one) => (
            <tr key={one.name}>
              <th scope="row">{one.name}</th>
              <td>{one.up ? 'up' : <span class="muted">down</span>}</td>
              <td class="number">{bytes(one.rxBytes)}</td>
              <td class="number">{bytes(one.txBytes)}</td>
              <td class="number">{count(one.rxErrors + one.txErrors)}</td>
            </tr>
          ))}
        </tbody>
      </ScrollingTable>
    </>
  );
}

function Gauge({
  name,
  ratio,
  children,
}: {
  name: string;
  ratio: number | null;
  children?: preact.ComponentChildren;
}) {
  return (
    <div>
      <dt title={name}>{name}</dt>
      <dd>
        <Utilisation ratio={ratio} />
        <span class="muted gauge-words">{children}</span>
      </dd>
    </div>
  );
}

function PressureGauges({ pressure }: { pressure: Pressure }) {
  return (
    <dl class="gauges">
      <Gauge name="CPU" ratio={pressure.cpuSome}>
        some tasks waited
      </Gauge>
      <Gauge name="Memory" ratio={pressure.memorySome}>
        some waited; all: {Math.round(pressure.memoryFull * 100)}%
      </Gauge>
      <Gauge name="I/O" ratio={pressure.ioSome}>
        some waited; all: {Math.round(pressure.ioFull * 100)}%
      </Gauge>
    </dl>
  );
}
