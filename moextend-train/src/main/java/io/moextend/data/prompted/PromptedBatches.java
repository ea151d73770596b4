package io.moextend.data.prompted;

import io.moextend.data.DataException;
import io.moextend.data.Share;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.List;
import java.util.Optional;
import java.util.SequencedMap;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;

/**
 * Endless micro-batches drawn from a mixture, made ahead by threads. The stream of rows depends on
 * the seed alone: draws are cut into blocks, each block is packed by itself, and of each {@link
 * Share#together} rows a rank takes its part. As rows depend on the lengths of all examples before
 * them in their block, every rank makes all rows. One thread takes.
 */
public final class PromptedBatches implements AutoCloseable {
  private static final long CLOSING_SECONDS = 60;
  private static final int MOST_EMPTY_BLOCKS = 64;

  /**
   * Where all ranks stand, the same on each.
   *
   * @param block number of the block of draws
   * @param row rows of it that were handed out
   */
  public record Position(long block, int row) {
    public static final Position START = new Position(0, 0);

    public Position {
      if (block < 0 || row < 0) {
        throw new DataException("block=%d, row=%d: must be from 0".formatted(block, row));
      }
    }
  }

  /** A block's rows, and the examples that were left out. */
  private record Block(List<List<TokenPair>> rows, List<String> leftOut) {}

  private final Mixture mixture;
  private final PromptTokens tokens;
  private final RowLayout layout;
  private final Share share;
  private final DrawStream draws;
  private final int ahead;
  private final ExecutorService workers;
  private final Deque<Future<Block>> coming = new ArrayDeque<>();
  private Position at = Position.START;
  private long asked;
  private long leftOut;
  private String firstLeftOut = "";
  private int emptyBlocks;

  /**
   * @param mixture the caller's to close, after this
   * @param seed of draws and orders
   * @param threads that make blocks, at least 1
   */
  public PromptedBatches(
      Mixture mixture, PromptTokens tokens, RowLayout layout, Share share, long seed, int threads) {
    if (threads < 1) {
      throw new DataException("loader threads=%d: must be at least 1".formatted(threads));
    }
    if (layout.inputLength() < tokens.inputLength()
        || layout.targetLength() < tokens.targetLength()) {
      throw new DataException(
          "rows of [%d, %d] are shorter than examples of [%d, %d]; cut examples at the rows' lengths"
              .formatted(
                  layout.inputLength(),
                  layout.targetLength(),
                  tokens.inputLength(),
                  tokens.targetLength()));
    }
    this.mixture = mixture;
    this.tokens = tokens;
    this.layout = layout;
    this.share = share;
    this.draws = mixture.draws(seed);
    this.ahead = 2 * threads;
    this.workers =
        Executors.newFixedThreadPool(
            threads, Thread.ofPlatform().daemon().name("prompts-", 0).factory());
  }

  /**
   * Waits for this rank's next rows.
   *
   * @throws DataException that a maker met; after it the source has to be sought again
   */
  public PromptedBatch next() {
    var all = new ArrayList<List<TokenPair>>(share.together());
    int own = share.rank() * share.rows();
    Position here = at;
    for (int i = 0; i < share.together(); i++) {
      Block block = first();
      while (here.row() >= block.rows().size()) {
        drop(block);
        here = new Position(here.block() + 1, 0);
        block = first();
      }
      all.add(block.rows().get(here.row()));
      here = new Position(here.block(), here.row() + 1);
    }
    at = here;
    return PromptedBatch.of(
        all.subList(own, own + share.rows()), layout, PromptedBatch.Together.of(all, layout));
  }

  /** The first block that was not dropped. */
  private Block first() {
    while (coming.size() <= ahead) {
      draws.seek(Math.multiplyExact(asked, (long) layout.block()));
      List<DrawStream.Draw> drawn = draws.next(layout.block());
      coming.add(workers.submit(() -> make(drawn)));
      asked++;
    }
    return await(coming.element());
  }

  private Block make(List<DrawStream.Draw> drawn) {
    var pairs = new ArrayList<TokenPair>(drawn.size());
    var empty = new ArrayList<String>();
    for (DrawStream.Draw draw : drawn) {
      PromptedExample example = mixture.parts().get(draw.task()).examples().read(draw.example());
      Optional<TokenPair> pair = tokens.encode(example);
      pair.ifPresentOrElse(pairs::add, () -> empty.add(example.where()));
    }
    return new Block(layout.rows(pairs), empty);
  }

  private static Block await(Future<Block> block) {
    try {
      return block.get();
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new DataException("stopped while waiting for data", e);
    } catch (ExecutionException e) {
      switch (e.getCause()) {
        case DataException wrong -> throw new DataException(String.valueOf(wrong.getMessage()), e);
        case Error error -> throw error;
        case null, default ->
            throw new IllegalStateException("making a block failed: " + e.getCause(), e);
      }
    }
  }

  private void drop(Block block) {
    coming.remove();
    emptyBlocks = block.rows().isEmpty() ? emptyBlocks + 1 : 0;
    if (leftOut == 0 && !block.leftOut().isEmpty()) {
      firstLeftOut = block.leftOut().getFirst();
    }
    leftOut += block.leftOut().size();
    if (emptyBlocks == MOST_EMPTY_BLOCKS) {
      throw new DataException(
          "of %,d drawn examples none has both an input and a target; the first is %s"
              .formatted(MOST_EMPTY_BLOCKS * layout.block(), block.leftOut().getFirst()));
    }
  }

  /** Where the rows begin that all ranks take next. To be saved with a checkpoint. */
  public Position position() {
    return at;
  }

  /** What the mixture is, as {@link Mixture#content} has it. */
  public SequencedMap<String, String> content() {
    return mixture.content();
  }

  /** Makes {@link #next} go on from a position of a run with the same files, seed and layout. */
  public void seek(Position position) {
    forgetComing();
    at = position;
    asked = position.block();
  }

  /** Who reads a file is not interrupted, for that would close the file. */
  private void forgetComing() {
    coming.forEach(block -> block.cancel(false));
    coming.clear();
  }

  /**
   * What the user should know: draws of the blocks behind us whose input or target is empty, and
   * the first of them; nothing where there were none.
   */
  public Optional<String> remark() {
    return leftOut == 0
        ? Optional.empty()
        : Optional.of(
            "%,d drawn examples have no input or target and were left out; the first is %s"
                .formatted(leftOut, firstLeftOut));
  }

  /** Lets the threads end what they do and waits for them. */
  @Override
  public void close() {
    forgetComing();
    workers.shutdown();
    try {
      if (!workers.awaitTermination(CLOSING_SECONDS, TimeUnit.SECONDS)) {
        throw new IllegalStateException(
            "data workers are still busy after " + CLOSING_SECONDS + " s");
      }
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
  }
}
