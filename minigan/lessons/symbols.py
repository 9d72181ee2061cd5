"""What LaTeX's commands stand for: the tables of :mod:`minigan.lessons.mathml`."""

from __future__ import annotations

THIN = "0.167em"

GREEK = dict(
    alpha="α", beta="β", gamma="γ", delta="δ", epsilon="ϵ", varepsilon="ε", zeta="ζ", eta="η", theta="θ", vartheta="ϑ", iota="ι",
    kappa="κ", lambda_="λ", mu="μ", nu="ν", xi="ξ", pi="π", rho="ρ", varrho="ϱ", sigma="σ", tau="τ", upsilon="υ", phi="ϕ",
    varphi="φ", chi="χ", psi="ψ", omega="ω", Gamma="Γ", Delta="Δ", Theta="Θ", Lambda="Λ", Xi="Ξ", Pi="Π", Sigma="Σ",
    Upsilon="Υ", Phi="Φ", Psi="Ψ", Omega="Ω",
)  # fmt: skip
GREEK["lambda"] = GREEK.pop("lambda_")
LETTERS = dict(
    infty="∞", partial="∂", nabla="∇", ell="ℓ", emptyset="∅", varnothing="∅", forall="∀", exists="∃", hbar="ℏ", Re="ℜ", Im="ℑ",
    top="⊤", bot="⊥", dots="…", ldots="…", cdots="⋯", vdots="⋮", ddots="⋱", prime="′", angle="∠",
    neg="¬", lnot="¬", checkmark="✓", blacksquare="■", square="□", Box="□",
)  # fmt: skip
BINARY = dict(
    cdot="⋅", times="×", div="÷", pm="±", mp="∓", circ="∘", ast="∗", star="⋆", cup="∪", cap="∩", setminus="∖", oplus="⊕",
    otimes="⊗", odot="⊙", wedge="∧", land="∧", vee="∨", lor="∨", bullet="∙",
)  # fmt: skip
RELATIONS = dict(
    le="≤", leq="≤", ge="≥", geq="≥", ne="≠", neq="≠", ll="≪", gg="≫", approx="≈", equiv="≡", sim="∼", simeq="≃", cong="≅",
    propto="∝", to="→", rightarrow="→", leftarrow="←", longrightarrow="⟶", Rightarrow="⇒", implies="⟹", Longrightarrow="⟹",
    Leftarrow="⇐", iff="⟺", Longleftrightarrow="⟺", longleftrightarrow="⟷", gets="←", leadsto="⇝",
    Leftrightarrow="⇔", leftrightarrow="↔", mapsto="↦", longmapsto="⟼", in_="∈", notin="∉", ni="∋",
    subset="⊂", subseteq="⊆", supset="⊃", supseteq="⊇", perp="⊥", mid="∣", parallel="∥", coloneqq="≔", doteq="≐", prec="≺",
    preceq="⪯", succ="≻", succeq="⪰", uparrow="↑", downarrow="↓", nearrow="↗", searrow="↘", models="⊨", vdash="⊢", nmid="∤",
    hookrightarrow="↪", rightharpoonup="⇀", rightsquigarrow="⇝", gtrsim="≳", lesssim="≲", asymp="≍", triangleq="≜",
)  # fmt: skip
RELATIONS["in"] = RELATIONS.pop("in_")
BIG = dict(
    sum="∑", prod="∏", coprod="∐", bigcup="⋃", bigcap="⋂", bigoplus="⨁", bigotimes="⨂", bigwedge="⋀", bigvee="⋁", int="∫",
    iint="∬", iiint="∭", oint="∮",
)  # fmt: skip
INTEGRALS = "∫∬∭∮"
FUNCTIONS = {
    "log", "ln", "exp", "sin", "cos", "tan", "cot", "sec", "csc", "sinh", "cosh", "tanh", "coth", "arcsin", "arccos",
    "arctan", "arg", "deg", "det", "dim", "gcd", "hom", "inf", "ker", "lg", "lim", "liminf", "limsup", "max", "min", "Pr", "sup",
}  # fmt: skip
LIMITS = {"det", "gcd", "inf", "lim", "liminf", "limsup", "max", "min", "Pr", "sup"}
ACCENTS = dict(
    hat="^", widehat="^", tilde="˜", widetilde="˜", bar="¯", overline="‾", vec="→", dot="˙", ddot="¨", check="ˇ", breve="˘",
    overrightarrow="→", mathring="˚",
)  # fmt: skip
WIDE = {"widehat", "widetilde", "overline", "overrightarrow"}
OPEN = {
    "(": "(",
    "[": "[",
    "{": "{",
    "lbrace": "{",
    "langle": "⟨",
    "lfloor": "⌊",
    "lceil": "⌈",
    "lvert": "|",
    "lVert": "‖",
    "lbrack": "[",
}
CLOSE = {
    ")": ")",
    "]": "]",
    "}": "}",
    "rbrace": "}",
    "rangle": "⟩",
    "rfloor": "⌋",
    "rceil": "⌉",
    "rvert": "|",
    "rVert": "‖",
    "rbrack": "]",
}
BARS = {"|": "|", "vert": "|", "Vert": "‖", "\\|": "‖", "/": "/", "backslash": "\\"}
SPACES = {
    ",": THIN,
    ":": "0.222em",
    ">": "0.222em",
    ";": "0.278em",
    "!": "-0.167em",
    " ": "0.333em",
    "quad": "1em",
    "qquad": "2em",
}
SPACES |= {"thinspace": THIN, "enspace": "0.5em"}
SIZES = {"big": "1.2em", "Big": "1.8em", "bigg": "2.4em", "Bigg": "3em"}
ENVIRONMENTS = {  # fences, alignment of the columns, whether cells are in display style
    "matrix": ("", "", "c", False), "pmatrix": ("(", ")", "c", False), "bmatrix": ("[", "]", "c", False),
    "vmatrix": ("|", "|", "c", False), "Vmatrix": ("‖", "‖", "c", False), "smallmatrix": ("", "", "c", False),
    "cases": ("{", "", "l", False), "array": ("", "", "c", False), "gathered": ("", "", "c", True),
    "gather*": ("", "", "c", True), "aligned": ("", "", "rl", True), "align": ("", "", "rl", True),
    "align*": ("", "", "rl", True), "split": ("", "", "rl", True), "alignedat": ("", "", "rl", True),
}  # fmt: skip
ALPHABETS = {  # of Unicode's mathematical letters: (capital A, small a, digit 0, Greek capital, Greek small), 0 where none
    "mathbb": (0x1D538, 0x1D552, 0x1D7D8, 0, 0), "mathcal": (0x1D49C, 0x1D4B6, 0, 0, 0), "mathscr": (0x1D49C, 0x1D4B6, 0, 0, 0),
    "mathbf": (0x1D400, 0x1D41A, 0x1D7CE, 0x1D6A8, 0x1D6C2), "boldsymbol": (0x1D468, 0x1D482, 0x1D7CE, 0x1D71C, 0x1D736),
    "bm": (0x1D468, 0x1D482, 0x1D7CE, 0x1D71C, 0x1D736), "mathfrak": (0x1D504, 0x1D51E, 0, 0, 0),
    "mathsf": (0x1D5A0, 0x1D5BA, 0x1D7E2, 0, 0), "mathtt": (0x1D670, 0x1D68A, 0x1D7F6, 0, 0),
}  # fmt: skip
OLDER = {  # letters that Unicode had before its mathematical alphabets
    "mathbb": dict(zip("CHNPQRZ", "ℂℍℕℙℚℝℤ", strict=True)),
    "mathcal": dict(zip("BEFHILMRego", "ℬℰℱℋℐℒℳℛℯℊℴ", strict=True)),
    "mathscr": dict(zip("BEFHILMRego", "ℬℰℱℋℐℒℳℛℯℊℴ", strict=True)),
    "mathfrak": dict(zip("CHIRZ", "ℭℌℑℜℨ", strict=True)),
}
