; Douga in GIMP 2.10, whose Script-Fu cannot start programs: the image goes out as a file, the result comes in.
;
;   Filters > Douga > Export frame...   writes FOLDER/NAME.png
;   douga reconstruct FOLDER/NAME.png --out FOLDER/douga          in a terminal; GIMP shows the line to copy
;   Filters > Douga > Import result...  adds the group "douga" to the image, in one undo step
;
; Without a screen: gimp -i -b '(douga-file-to-xcf "FRAME.png" "OUT" "FRAME.xcf")' -b '(gimp-quit 0)'

; The index of a pixel in classes/NAME.png is its class. Top to bottom, as in the layered file.
(define douga-classes
  '((1 "visible line") (4 "highlight line") (2 "shading line") (3 "color edge") (5 "book line")
    (9 "book fill") (8 "highlight fill") (6 "shading fill") (7 "color fill") (0 "flat area")))

; "frame" of "/some/folder/frame.png", and of "frame".
(define (douga-stem path)
  (let* ((name (car (reverse (strbreakup path "/"))))
         (parts (reverse (strbreakup name "."))))
    (if (null? (cdr parts)) name (unbreakupstr (reverse (cdr parts)) "."))))

(define (douga-name image)
  (let ((path (car (gimp-image-get-filename image))))
    (if (and (string? path) (> (string-length path) 0)) (douga-stem path) "untitled")))

(define (douga-path folder . parts)
  (unbreakupstr (cons folder parts) "/"))

; Whether two paths name one file, as far as Script-Fu can see.
(define (douga-same-file? path other)
  (and (string? other)
       (equal? (douga-parts path) (douga-parts other))))
(define (douga-parts path)
  (let loop ((rest (strbreakup path "/")) (kept '()))
    (cond ((null? rest) (reverse kept))
          ((or (string=? (car rest) "") (string=? (car rest) ".")) (loop (cdr rest) kept))
          (else (loop (cdr rest) (cons (car rest) kept))))))

; Errors of GIMP's go through Script-Fu's hook, those of `error` and `throw` do not, so ours do.
(define (douga-fail . words)
  (apply *error-hook* words))

; Runs `work`, then `clean` with whether it failed, and only then tells the caller of the failure.
(define (douga-cleanly work clean)
  (let* ((hook *error-hook*)
         (said (call/cc (lambda (leave)
                          (set! *error-hook* (lambda words (leave words)))
                          (work)
                          #f))))
    (set! *error-hook* hook)
    (clean (pair? said))
    (if (pair? said) (apply douga-fail said))))

(define (douga-load path)
  (if (file-exists? path)
      (car (gimp-file-load RUN-NONINTERACTIVE path path))
      (douga-fail (string-append path " is missing; run: douga reconstruct FRAME.png --out FOLDER/douga"))))

(define (douga-write copy path)
  (if (not (= (car (gimp-image-base-type copy)) RGB)) (gimp-image-convert-rgb copy))
  (if (not (= (car (gimp-image-get-precision copy)) PRECISION-U8-GAMMA))
      (gimp-image-convert-precision copy PRECISION-U8-GAMMA))
  (gimp-image-merge-visible-layers copy CLIP-TO-IMAGE)
  (let ((layer (car (gimp-image-get-active-layer copy))))
    (gimp-layer-resize-to-image-size layer)
    (file-png-save RUN-NONINTERACTIVE copy layer path path FALSE 6 FALSE FALSE FALSE FALSE FALSE)))

(define (script-fu-douga-export image drawable folder)
  (let* ((copy (car (gimp-image-duplicate image)))
         (name (douga-name image))
         (path (douga-path folder (string-append name ".png"))))
    (if (douga-same-file? path (car (gimp-image-get-filename image)))
        (begin (gimp-image-delete copy)
               (douga-fail (string-append path " is this image's own file, which would be lost; choose another "
                                          "folder"))))
    (douga-cleanly (lambda () (douga-write copy path))
                   (lambda (failed) (gimp-image-delete copy)))
    (gimp-message (string-append "Written. Now run in a terminal:\ndouga reconstruct \"" path "\" --out \""
                                 folder "/douga\" --overwrite\nthen choose Filters > Douga > Import result."))))

; The colour of class `index` in a colour map of bytes.
(define (douga-color colors index)
  (map (lambda (channel) (aref colors (+ (* 3 index) channel))) '(0 1 2)))

; Gives every class a grey of its own, so that equal colours stay apart, and returns the colours that were.
(define (douga-number-classes classes)
  (let* ((found (gimp-image-get-colormap classes))
         (count (quotient (car found) 3))
         (greys (cons-array (* 3 count) 'byte)))
    (let loop ((index 0))
      (if (< index (* 3 count))
          (begin (aset greys index (* 20 (quotient index 3))) (loop (+ index 1)))))
    (gimp-image-set-colormap classes (* 3 count) greys)
    (gimp-image-convert-rgb classes)
    (cons count (cadr found))))

; Selects the pixels of a class. Returns whether there are any.
(define (douga-select classes base index)
  (gimp-context-set-antialias FALSE)
  (gimp-context-set-feather FALSE)
  (gimp-context-set-sample-merged FALSE)
  (gimp-context-set-sample-threshold-int 0)
  (gimp-context-set-sample-criterion SELECT-CRITERION-COMPOSITE)
  (gimp-image-select-color classes CHANNEL-OP-REPLACE base (map (lambda (channel) (* 20 index)) '(0 1 2)))
  (= (car (gimp-selection-is-empty classes)) FALSE))

; Makes the layer of a class in the image of the classes, which is 8-bit sRGB, and lets GIMP convert its copy
; to what the user's image is. Returns the next place.
(define (douga-add-class image group classes base colors entry place)
  (if (and (< (car entry) (car colors)) (douga-select classes base (car entry)))
      (let ((made (car (gimp-layer-new classes (car (gimp-image-width classes)) (car (gimp-image-height classes))
                                       RGBA-IMAGE (cadr entry) 100 LAYER-MODE-NORMAL))))
        (gimp-image-insert-layer classes made 0 0)
        (gimp-context-set-foreground (douga-color (cdr colors) (car entry)))
        (gimp-drawable-edit-fill made FILL-FOREGROUND)
        (gimp-selection-none classes)
        (let ((layer (car (gimp-layer-new-from-drawable made image))))
          (gimp-item-set-name layer (cadr entry))
          (gimp-image-insert-layer image layer group place))
        (gimp-image-remove-layer classes made)
        (+ place 1))
      place))

; Puts what is in one drawable into another of the same size, beside the user's clipboard.
(define (douga-paste from to)
  (let ((name (car (gimp-edit-named-copy from "douga"))))
    (gimp-floating-sel-anchor (car (gimp-edit-named-paste to name FALSE)))
    (gimp-buffer-delete name)))

(define (douga-add-cel image group frame mask-image place)
  (let ((layer (car (gimp-layer-new-from-visible frame image "cel"))))
    (gimp-image-insert-layer image layer group place)
    (if (= (car (gimp-drawable-has-alpha layer)) FALSE) (gimp-layer-add-alpha layer))
    (let ((mask (car (gimp-layer-create-mask layer ADD-MASK-WHITE))))
      (gimp-layer-add-mask layer mask)
      (douga-paste (car (gimp-image-get-active-layer mask-image)) mask))
    (gimp-layer-set-edit-mask layer FALSE)))

(define (douga-same-size image other path)
  (if (not (and (= (car (gimp-image-width image)) (car (gimp-image-width other)))
                (= (car (gimp-image-height image)) (car (gimp-image-height other)))))
      (douga-fail (string-append path " is of another size than this image; export the frame and run douga again"))))

; Adds the group in one undo step, or nothing. classes, mask and frame are images that may be changed.
(define (douga-add-group image classes mask frame)
  (let ((colors (douga-number-classes classes))
        (base (car (gimp-image-get-active-layer classes)))
        (group (car (gimp-layer-group-new image)))
        (kept 0)
        (added #f))
    (gimp-image-undo-group-start image)
    (gimp-context-push)
    (douga-cleanly
      (lambda ()
        (gimp-context-set-defaults)
        (set! kept (car (gimp-selection-save image)))
        (gimp-selection-none image)
        (gimp-item-set-name group "douga")
        (gimp-image-insert-layer image group 0 0)
        (set! added #t)
        (let loop ((rest douga-classes) (place 0))
          (if (null? rest)
              (douga-add-cel image group frame mask place)
              (loop (cdr rest) (douga-add-class image group classes base colors (car rest) place)))))
      (lambda (failed)
        (if (and failed added) (gimp-image-remove-layer image group))
        (if (> kept 0)
            (begin (gimp-image-select-item image CHANNEL-OP-REPLACE kept)
                   (gimp-image-remove-channel image kept)))
        (gimp-context-pop)
        (gimp-image-undo-group-end image)))))

(define (douga-import image folder name)
  (let* ((opened '())
         (keep (lambda (new) (set! opened (cons new opened)) new))
         (file (lambda (kind) (douga-path folder kind (string-append name ".png")))))
    (if (not (= (car (gimp-image-base-type image)) RGB))
        (douga-fail "The image is greyscale or indexed; choose Image > Mode > RGB first"))
    (douga-cleanly
      (lambda ()
        (let* ((classes (keep (douga-load (file "classes"))))
               (mask (keep (douga-load (file "cel_mask")))))
          (douga-same-size image classes (file "classes"))
          (douga-same-size image mask (file "cel_mask"))
          (douga-add-group image classes mask (keep (car (gimp-image-duplicate image))))))
      (lambda (failed) (for-each gimp-image-delete opened)))
    (gimp-displays-flush)))

(define (script-fu-douga-import image drawable folder)
  (douga-import image (douga-path folder "douga") (douga-name image)))

; A frame and what the command line made of it (--out OUT) -> one layered file.
(define (douga-file-to-xcf frame out xcf)
  (let ((image (douga-load frame)))
    (douga-cleanly
      (lambda ()
        (douga-import image out (douga-stem frame))
        (gimp-xcf-save RUN-NONINTERACTIVE image (car (gimp-image-get-active-layer image)) xcf xcf))
      (lambda (failed) (gimp-image-delete image)))))

(script-fu-register "script-fu-douga-export" "Export frame..."
  "Writes the visible image for the command line of Douga" "Douga" "Douga" "2026" "*"
  SF-IMAGE "Image" 0 SF-DRAWABLE "Drawable" 0 SF-DIRNAME "Folder" "")
(script-fu-menu-register "script-fu-douga-export" "<Image>/Filters/Douga")
(script-fu-register "script-fu-douga-import" "Import result..."
  "Adds what the command line of Douga made, as one group of layers" "Douga" "Douga" "2026" "RGB*"
  SF-IMAGE "Image" 0 SF-DRAWABLE "Drawable" 0 SF-DIRNAME "Folder of the export" "")
(script-fu-menu-register "script-fu-douga-import" "<Image>/Filters/Douga")
