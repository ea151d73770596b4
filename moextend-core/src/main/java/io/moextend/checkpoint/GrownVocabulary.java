package io.moextend.checkpoint;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.Set;

/**
 * A language model whose embedding table and head have more rows than its file: a plain Mixtral
 * that learns image tokens. New rows are normal with the config's initializer_range and stay as
 * they are in every stage.
 */
public final class GrownVocabulary implements WeightSource {
  /** Rows the published code adds: three image tokens, the others unused. */
  public static final int PUBLISHED_ROWS = 203;

  private static final List<String> TABLES = List.of("model.embed_tokens.weight", "lm_head.weight");

  private final WeightSource source;
  private final int vocab;
  private final double range;
  private final long seed;
  private final Arena memory = Arena.ofShared();
  private final Map<String, TensorData> grown = new HashMap<>();

  /**
   * @param vocab rows after growing
   */
  public GrownVocabulary(WeightSource source, int vocab, double range, long seed) {
    this.source = source;
    this.vocab = vocab;
    this.range = range;
    this.seed = seed;
  }

  @Override
  public Set<String> names() {
    return source.names();
  }

  @Override
  public synchronized TensorData tensor(String name) {
    return TABLES.contains(name) ? grown.computeIfAbsent(name, this::grow) : source.tensor(name);
  }

  private TensorData grow(String name) {
    TensorData old = source.tensor(name);
    int hidden = Math.toIntExact(old.shape()[1]);
    int added = Math.toIntExact(vocab - old.shape()[0]);
    var random = new Random(seed * 31 + name.hashCode());
    float[] values = new float[Math.multiplyExact(added, hidden)];
    for (int i = 0; i < values.length; i++) {
      values[i] = (float) (random.nextGaussian() * range);
    }
    TensorData rows = TensorData.of(name, old.dtype(), new long[] {added, hidden}, values);
    MemorySegment whole =
        memory.allocate(Math.addExact(old.bytes().byteSize(), rows.bytes().byteSize()), 64);
    whole.asSlice(0, old.bytes().byteSize()).copyFrom(old.bytes());
    whole.asSlice(old.bytes().byteSize()).copyFrom(rows.bytes());
    return new TensorData(name, old.dtype(), new long[] {vocab, hidden}, whole);
  }

  @Override
  public String origin() {
    return source.origin();
  }

  @Override
  public void close() {
    source.close();
    memory.close();
  }
}
