package io.moextend.demo;

import java.util.List;
import java.util.stream.Collectors;

/** A piece of the text-only corpus, in lower case, words and signs parted by one space. */
public sealed interface TextSample {
  /** As one line of plain text: what a language model reads between start and end. */
  String line();

  /** A sentence. */
  record Statement(String text) implements TextSample {
    @Override
    public String line() {
      return text;
    }
  }

  /** Questions and answers about one thing. */
  record Dialogue(List<Turn> turns) implements TextSample {
    public Dialogue {
      turns = List.copyOf(turns);
    }

    static Dialogue of(String question, String answer) {
      return new Dialogue(List.of(new Turn(question, answer)));
    }

    @Override
    public String line() {
      return turns.stream()
          .map(t -> "[INST] " + t.question() + " [/INST] " + t.answer())
          .collect(Collectors.joining(" "));
    }
  }
}
