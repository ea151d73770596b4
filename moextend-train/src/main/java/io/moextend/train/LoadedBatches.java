package io.moextend.train;

import io.moextend.data.Batch;
import io.moextend.data.BatchLoader;
import io.moextend.data.SampleOrder;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.SequencedMap;
import org.jspecify.annotations.Nullable;

/**
 * Batches of a {@link BatchLoader}, which starts at the first {@link #next}, so that a resumed run
 * makes none it does not need. Offsets count samples.
 */
public final class LoadedBatches implements BatchSource<Batch>, AutoCloseable {
  /** Starts a loader at a position; it is closed by who asked for it. */
  @FunctionalInterface
  public interface Opener {
    BatchLoader open(SampleOrder.Position from);
  }

  private final Opener opener;
  private final SequencedMap<String, String> content;
  private SampleOrder.Position from = SampleOrder.Position.START;
  private @Nullable BatchLoader loader;

  public LoadedBatches(Opener opener) {
    this(opener, new LinkedHashMap<>());
  }

  /**
   * @param content as {@link #content} gives it
   */
  LoadedBatches(Opener opener, SequencedMap<String, String> content) {
    this.opener = opener;
    this.content = content;
  }

  @Override
  public Batch next() {
    BatchLoader open = loader;
    if (open == null) {
      open = opener.open(from);
      loader = open;
    }
    return open.next();
  }

  @Override
  public Position position() {
    SampleOrder.Position at = loader == null ? from : loader.position();
    return new Position(at.epoch(), at.offset());
  }

  @Override
  public void seek(Position position) {
    close();
    from = new SampleOrder.Position(position.epoch(), Math.toIntExact(position.offset()));
  }

  @Override
  public SequencedMap<String, String> content() {
    return new LinkedHashMap<>(content);
  }

  @Override
  public List<String> samples(Batch batch) {
    return batch.samples();
  }

  @Override
  public void close() {
    if (loader != null) {
      loader.close();
      loader = null;
    }
  }
}
