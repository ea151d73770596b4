package io.moextend.train;

import io.moextend.data.prompted.PromptedBatch;
import io.moextend.data.prompted.PromptedBatches;
import java.util.List;
import java.util.SequencedMap;

/**
 * Batches of a mixture for the trainer. A position's epoch is the number of the block of draws, its
 * offset counts rows of that block.
 */
public record DrawnBatches(PromptedBatches batches)
    implements BatchSource<PromptedBatch>, AutoCloseable {
  @Override
  public PromptedBatch next() {
    return batches.next();
  }

  @Override
  public Position position() {
    PromptedBatches.Position at = batches.position();
    return new Position(at.block(), at.row());
  }

  @Override
  public void seek(Position position) {
    batches.seek(
        new PromptedBatches.Position(position.epoch(), Math.toIntExact(position.offset())));
  }

  @Override
  public SequencedMap<String, String> content() {
    return batches.content();
  }

  @Override
  public List<String> samples(PromptedBatch batch) {
    return batch.examples();
  }

  @Override
  public void close() {
    batches.close();
  }
}
