"""Dead letters: what one says, where they stand, how they are chosen, corrected and sent again."""
