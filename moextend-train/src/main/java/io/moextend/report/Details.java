package io.moextend.report;

import java.util.List;

/** What only some want to read: closed at first, and not printed while it is. */
public record Details(String summary, List<Block> blocks) implements Block {
  public Details {
    blocks = List.copyOf(blocks);
  }
}
