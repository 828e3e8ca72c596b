import { AssignerProtocol, type PartitionAssigner } from 'kafkajs';

const NAME = 'plumbline-alike';
const VERSION = 1;

/** Partition n of every topic goes to the same member. (The library's own divides the topics one after the other.) */
export const alikeAssigner: PartitionAssigner = ({ cluster }) => ({
  name: NAME,
  version: VERSION,

  async assign({ members, topics }) {
    const ids = members.map(({ memberId }) => memberId).sort();
    return ids.map((memberId, index) => {
      const assignment: Record<string, number[]> = {};
      for (const topic of topics) {
        assignment[topic] = cluster
          .findTopicPartitionMetadata(topic)
          .map(({ partitionId }) => partitionId)
          .filter((partition) => partition % ids.length === index)
          .sort((a, b) => a - b);
      }
      const memberAssignment = AssignerProtocol.MemberAssignment.encode({
        version: VERSION,
        assignment,
        userData: Buffer.alloc(0),
      });
      return { memberId, memberAssignment };
    });
  },

  protocol({ topics }) {
    const metadata = AssignerProtocol.MemberMetadata.encode({
      version: VERSION,
      topics,
      userData: Buffer.alloc(0),
    });
    return { name: NAME, metadata };
  },
});
