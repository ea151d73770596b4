package io.moextend.train;

import io.moextend.checkpoint.CheckpointException;
import io.moextend.checkpoint.FrozenProof;
import io.moextend.checkpoint.WeightSource;
import java.nio.file.Path;
import java.util.List;
import java.util.function.Predicate;

/**
 * The proof that nothing frozen moved: a SHA-256 of every frozen tensor taken at the start, and
 * again from the same source at each checkpoint, by each rank for its share of the bytes.
 */
public final class FrozenTensors implements CheckpointPart {
  private final FrozenProof proof;
  private final WeightSource source;

  /**
   * @param proof taken at the run's start
   */
  public FrozenTensors(FrozenProof proof, WeightSource source) {
    this.proof = proof;
    this.source = source;
  }

  @Override
  public void save(Path folder, Peers peers) {
    requireUnmoved(proof.share(peers.rank(), peers.world()), source);
    if (peers.rank() == 0) {
      proof.write(folder.resolve(FrozenProof.FILE));
    }
  }

  /**
   * @throws CheckpointException naming the first tensor that is not as it was
   */
  public void requireUnmoved(WeightSource other) {
    requireUnmoved(proof, other);
  }

  /**
   * As {@link #requireUnmoved(WeightSource)}, of a source that leaves some out.
   *
   * @param held names that it has
   */
  public void requireUnmoved(WeightSource other, Predicate<String> held) {
    requireUnmoved(proof.only(held), other);
  }

  private static void requireUnmoved(FrozenProof proof, WeightSource other) {
    List<FrozenProof.Difference> moved = proof.verify(other);
    if (!moved.isEmpty()) {
      throw new CheckpointException(
          "%s: %d frozen tensors are not as they were at the start, first %s; the run is not to be trusted"
              .formatted(other.origin(), moved.size(), moved.getFirst()));
    }
  }
}
